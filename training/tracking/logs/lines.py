"""From bytes of a log to lines: splitting, decoding, cutting, collapsing."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from training.tracking.logs.screen import last_state, rows
from training.tracking.logs.selection import Selection, Stream

LINE_BYTES = 1024**2
NEWLINE = ord("\n")


class Line(NamedTuple):
    """One line, or a piece of one. `offset` and `end` are byte positions in the log file, `time` epoch seconds.

    `is_partial`: no newline closed it (yet); the text at `end` goes on in the same line.
    """

    offset: int
    end: int
    text: str
    is_partial: bool = False
    time: float | None = None
    stream: str | None = None


@dataclass
class Stretch:
    """Bytes that belong together, with the places in the file they come from (one place for a plain read)."""

    data: bytes = b""
    starts: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, segments: list[tuple[int, bytes]]) -> "Stretch":
        """`segments` are (file offset, bytes) in the order of the file."""
        stretch = cls(b"".join(data for _, data in segments))
        position = 0
        for offset, data in segments:
            stretch.starts.append(position)
            stretch.offsets.append(offset)
            position += len(data)
        return stretch

    def offset_of(self, position: int) -> int:
        """File offset of the byte at `position`."""
        at = bisect_right(self.starts, position) - 1
        return self.offsets[at] + position - self.starts[at]

    def offset_after(self, position: int) -> int:
        """File offset just behind the last byte before `position` (1 or more)."""
        return self.offset_of(position - 1) + 1

    def part(self, start: int, end: int) -> "Stretch":
        """The bytes [start, end) with their places."""
        first, last = bisect_right(self.starts, start) - 1, bisect_right(self.starts, max(start, end - 1))
        starts = [max(0, position - start) for position in self.starts[first:last]]
        offsets = self.offsets[first:last]
        if offsets:
            offsets[0] = self.offset_of(start)
        return Stretch(self.data[start:end], starts, offsets)


def spans(data: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of each line of `data` with its newline; the last may have none."""
    start = 0
    while (end := data.find(b"\n", start) + 1) > 0:
        yield start, end
        start = end
    if start < len(data):
        yield start, len(data)


def redrawn(stretch: Stretch, selection: Selection) -> list[Line]:
    """What whole lines that rewrite each other look like in the end, as far as `selection` lets it through."""
    left = [row for row in rows(stretch.data, list(spans(stretch.data))) if selection.needle in row.text]
    return [_line(stretch, row.start, row.end, cut(row.text)) for row in left]


def line_at(stretch: Stretch, start: int, end: int, *, collapse: bool) -> Line:
    """The line in positions [start, end) of `stretch`."""
    raw = stretch.data[start:end].removesuffix(b"\n")
    return _line(stretch, start, end, cut(last_state(raw) if collapse else raw))


def _line(stretch: Stretch, start: int, end: int, text: str) -> Line:
    is_partial = stretch.data[end - 1] != NEWLINE
    return Line(stretch.offset_of(start), stretch.offset_after(end), text, is_partial)


def cut(raw: bytes) -> str:
    """Text of one line; invalid UTF-8 is replaced, and what is longer than LINE_BYTES is left out with a notice."""
    left_out = len(raw) - LINE_BYTES
    if left_out <= 0:
        return raw.decode("utf-8", "replace")
    kept = raw[: whole_characters(raw[:LINE_BYTES])]
    return f"{kept.decode('utf-8', 'replace')} [line cut: {len(raw) - len(kept)} of {len(raw)} bytes left out]"


def rotated_away(start: int, end: int) -> Line:
    """What a reader finds in the place of text that is no longer kept."""
    return Line(start, end, f"mlserver: {end - start} bytes were rotated away", stream=Stream.SERVER.word)


def whole_characters(data: bytes) -> int:
    """Length of `data` without a UTF-8 character that is cut at its end."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needs = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return len(data) - back if needs > back else len(data)
    return len(data)
