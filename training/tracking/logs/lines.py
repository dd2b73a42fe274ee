"""From bytes of a log to lines: splitting, decoding, cutting, collapsing."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

LINE_BYTES = 1024**2


@dataclass(frozen=True)
class Line:
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


def line_at(stretch: Stretch, start: int, end: int, *, collapse: bool) -> Line:
    """The line in positions [start, end) of `stretch`."""
    raw = stretch.data[start:end]
    is_partial = not raw.endswith(b"\n")
    text = shown(raw.removesuffix(b"\n"), collapse=collapse)
    return Line(stretch.offset_of(start), stretch.offset_after(end), text, is_partial)


def shown(raw: bytes, *, collapse: bool) -> str:
    """Text of one line; invalid UTF-8 is replaced, and what is longer than LINE_BYTES is left out with a notice."""
    if collapse:
        raw = last_state(raw)
    left_out = len(raw) - LINE_BYTES
    if left_out <= 0:
        return raw.decode("utf-8", "replace")
    kept = raw[: whole_characters(raw[:LINE_BYTES])]
    return f"{kept.decode('utf-8', 'replace')} [line cut: {len(raw) - len(kept)} of {len(raw)} bytes left out]"


def last_state(raw: bytes) -> bytes:
    r"""What a progress bar that rewrites its line with `\r` showed last: the last state that is not blank."""
    if b"\r" not in raw:
        return raw
    end = len(raw)
    while end > 0:
        start = raw.rfind(b"\r", 0, end) + 1
        if state := raw[start:end].rstrip():
            return state
        end = start - 1
    return b""


def whole_characters(data: bytes) -> int:
    """Length of `data` without a UTF-8 character that is cut at its end."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needs = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return len(data) - back if needs > back else len(data)
    return len(data)
