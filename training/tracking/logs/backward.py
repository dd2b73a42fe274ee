"""Reading a log from its end: blocks of the file, or of one stream, the newest first."""

from collections.abc import Iterable, Iterator
from itertools import islice

from training.tracking.logs.index import LogIndex, Record
from training.tracking.logs.lines import LINE_BYTES, Line, Stretch, line_at, redrawn
from training.tracking.logs.pieces import LogFile
from training.tracking.logs.screen import ESCAPE, moves_up
from training.tracking.logs.selection import Selection, Stream

FIRST_BLOCK_BYTES, LARGEST_BLOCK_BYTES = 64 * 1024, 4 * 1024**2
# Records looked at for the lines of one stream: 24 MiB of index, tens of milliseconds.
INDEX_LIMIT = 1024**2
# Writes of one stream with at most this between them are fetched in one read.
GAP_BYTES = 4096
# Lines looked at where they rewrite each other, and control sequences in them: tenths of a second.
REDRAWN_LINES, REDRAWN_SEQUENCES = 50_000, 100_000


class Backward:
    """Iterates over stretches of a log, newest first; `scanned_from` is the offset down to which it has looked.

    Looks at no more than `limit` bytes, so a log of any size costs the same.
    """

    def __init__(self, log: LogFile, index: LogIndex, stream: Stream | None, limit: int) -> None:
        self._log, self._index, self._stream, self._limit = log, index, stream, limit
        self.scanned_from = log.size

    @property
    def has_all(self) -> bool:
        """It has looked at everything that was not rotated away."""
        return self.scanned_from <= self._log.start

    def __iter__(self) -> Iterator[Stretch]:
        if self._stream is None or (not self._index and self._stream is Stream.STDOUT):
            return self._blocks()
        return self._pieces_of(self._stream)

    def _blocks(self) -> Iterator[Stretch]:
        end, step, floor = self._log.size, FIRST_BLOCK_BYTES, max(self._log.start, self._log.size - self._limit)
        while end > floor:
            start = max(floor, end - step)
            data = self._log.read(start, end)
            self.scanned_from = start
            yield Stretch.of([(start, data)])
            end, step = start, min(step * 2, LARGEST_BLOCK_BYTES)

    def _pieces_of(self, stream: Stream) -> Iterator[Stretch]:
        left = self._limit
        for block in self._index.of_stream_backward(stream, INDEX_LIMIT):
            for records in portions(block):
                stretch = read_records(self._log, records)
                left -= len(stretch.data)
                self.scanned_from = records[0].offset
                yield stretch
                if left <= 0:
                    return
        oldest = len(self._index) - INDEX_LIMIT
        self.scanned_from = self._index[oldest].offset if oldest > 0 else self._log.start


def portions(records: list[Record]) -> Iterator[list[Record]]:
    """`records` in lists of about a megabyte of text, the newest list first."""
    last, size = len(records), 0
    for first in range(len(records) - 1, -1, -1):
        size += records[first].length
        if size >= 1024**2 or first == 0:
            yield records[first:last]
            last, size = first, 0


def read_records(log: LogFile, records: Iterable[Record], start: int | None = None, end: int | None = None) -> Stretch:
    """The bytes of `records` inside [start, end) of the log, neighbours fetched together."""
    start, end = log.start if start is None else start, log.size if end is None else end
    wanted = [(max(r.offset, start), min(r.end, end)) for r in records if r.offset < end and r.end > start]
    segments: list[tuple[int, bytes]] = []
    while wanted:
        count, (first, last) = 1, wanted[0]
        while count < len(wanted) and wanted[count][0] - last <= GAP_BYTES and last - first < LARGEST_BLOCK_BYTES:
            last = wanted[count][1]
            count += 1
        data = log.read(first, last)
        segments += [(a, data[a - first : b - first]) for a, b in wanted[:count]]
        del wanted[:count]
    return Stretch.of(segments)


def newest_lines(source: Backward, wanted: int, selection: Selection) -> list[Line]:
    """At most `wanted` lines that `selection` lets through, oldest first."""
    found: list[Line] = []
    unfinished: list[Stretch] = []
    for stretch in source:
        cut = stretch.data.find(b"\n") + 1
        if not cut:
            unfinished.append(stretch)
            continue
        whole = joined([stretch.part(cut, len(stretch.data)), *reversed(unfinished)])
        if selection.collapse and moves_up(whole.data):
            return _newest_redrawn(source, wanted, selection)
        unfinished = [stretch.part(0, cut)]
        found += _newest_of(whole, wanted - len(found), selection)
        if len(found) >= wanted:
            return found[::-1]
    oldest = joined(unfinished[::-1])
    if source.has_all:
        found += _newest_of(oldest, wanted - len(found), selection)
    elif not found and oldest.data:
        found = _end_of_endless_line(oldest, selection)
    return found[::-1]


def _newest_redrawn(source: Backward, wanted: int, selection: Selection) -> list[Line]:
    """The same where lines rewrite those above them: what is left of a line is known from all that follow it."""
    seen: list[Stretch] = []
    found: list[Line] = []
    for stretch in source:
        seen.insert(0, stretch)
        whole = joined(seen)
        cut = 0 if source.has_all else whole.data.find(b"\n") + 1
        if cut or source.has_all:
            found = redrawn(whole.part(cut, len(whole.data)), selection)
        is_much = whole.data.count(b"\n") > REDRAWN_LINES or whole.data.count(ESCAPE) > REDRAWN_SEQUENCES
        if len(found) >= wanted or is_much:
            break
    return found[-wanted:]


def joined(stretches: list[Stretch]) -> Stretch:
    """Stretches in the order of the file as one."""
    segments = []
    for stretch in stretches:
        bounds = [*stretch.starts, len(stretch.data)]
        pieces = zip(stretch.offsets, bounds, bounds[1:], strict=False)
        segments += [(offset, stretch.data[start:end]) for offset, start, end in pieces if start < end]
    return Stretch.of(segments)


def _newest_of(stretch: Stretch, wanted: int, selection: Selection) -> list[Line]:
    """The newest matching lines of whole lines, newest first."""
    spans = _spans_with(stretch.data, selection.needle) if selection.needle else _spans_backward(stretch.data)
    return [line_at(stretch, start, end, collapse=selection.collapse) for start, end in islice(spans, wanted)]


def _spans_with(data: bytes, needle: bytes) -> Iterator[tuple[int, int]]:
    """Those of the lines that hold `needle`: lines without it cost no more than their bytes."""
    end = len(data)
    while (at := data.rfind(needle, 0, end)) >= 0:
        start = data.rfind(b"\n", 0, at) + 1
        yield start, (data.find(b"\n", at) + 1) or len(data)
        end = start


def _spans_backward(data: bytes) -> Iterator[tuple[int, int]]:
    """As `lines.spans`, the last line first."""
    end = len(data)
    while end > 0:
        start = data.rfind(b"\n", 0, end - 1) + 1
        yield start, end
        end = start


def _end_of_endless_line(stretch: Stretch, selection: Selection) -> list[Line]:
    """What is left to show when the last line is longer than all that may be looked at."""
    start = max(0, len(stretch.data) - LINE_BYTES)
    last = line_at(stretch, start, len(stretch.data), collapse=selection.collapse)
    text = f"[line cut: its start before byte {last.offset} is left out] {last.text}"
    return [Line(last.offset, last.end, text, last.is_partial)] if selection.search in last.text else []
