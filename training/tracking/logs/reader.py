"""Reading logs: the last lines, what follows a position, and the time of a place. Nothing here queries or waits."""

from dataclasses import dataclass, field
from itertools import islice

from training.tracking.logs.backward import INDEX_LIMIT, Backward, newest_lines, read_records
from training.tracking.logs.files import LoggedRun, opened_index, opened_log
from training.tracking.logs.index import LogIndex, Record, Walk
from training.tracking.logs.lines import LINE_BYTES, Line, Stretch, line_at, redrawn, spans, whole_characters
from training.tracking.logs.pieces import LogFile
from training.tracking.logs.screen import moves_up
from training.tracking.logs.selection import Selection, Stream

MAX_LINES = 10_000
# How far from its end a log is looked at for its last lines, and for those that match a search.
TAIL_BYTES, SEARCH_BYTES = 32 * 1024**2, 64 * 1024**2
PAGE_BYTES = 1024**2
ALL = Selection()
WORDS = {int(stream): stream.word for stream in Stream}


@dataclass(frozen=True)
class Page:
    """Lines of the log between two byte positions.

    `next_offset` is where to go on: reading from there again and again gives every byte once, none twice.
    `scanned_from` is the position down to which lines were looked for, `kept_from` that of the first byte which was
    not rotated away.
    """

    lines: list[Line] = field(default_factory=list)
    next_offset: int = 0
    size_bytes: int = 0
    scanned_from: int = 0
    kept_from: int = 0


def tail(run: LoggedRun, rank: int = 0, lines: int = 100, selection: Selection = ALL) -> Page:
    """The last `lines` (at most 10,000) that `selection` lets through, oldest first, read from the end of the log.

    An unfinished last line is given as it is now; one that matched a search comes again at `next_offset`.
    A run without a log has an empty page.
    """
    with opened_log(run, rank) as log, opened_index(run, rank) as index_file:
        if log is None:
            return Page()
        index = LogIndex(index_file)
        source = Backward(log, index, selection.stream, SEARCH_BYTES if selection.search else TAIL_BYTES)
        wanted = min(lines, MAX_LINES)
        found = newest_lines(source, wanted, selection)
        scanned_from = found[0].offset if len(found) == wanted else source.scanned_from
        return Page(annotated(found, index), _end(log, index, selection), log.size, scanned_from, log.start)


def start_of_tail(run: LoggedRun, rank: int = 0, lines: int = MAX_LINES) -> int | None:
    """Where the last `lines` (at most 10,000) begin, as `tail` finds them; None without a log."""
    with opened_log(run, rank) as log:
        if log is None:
            return None
        found = newest_lines(Backward(log, LogIndex(None), None, TAIL_BYTES), min(lines, MAX_LINES), ALL)
        return found[0].offset if found else log.size


def from_offset(
    run: LoggedRun,
    offset: int,
    max_bytes: int = PAGE_BYTES,
    *,
    rank: int = 0,
    selection: Selection = ALL,
    until: int | None = None,
    is_settled: bool = True,
    is_over: bool = False,
) -> Page:
    """At most `max_bytes` and 10,000 lines from `offset` (bytes) on, but not beyond `until`.

    `is_settled` False keeps an unfinished last line for later; a search always does, because the rest of the
    line may match. `is_over` says that the log grows no more: then nothing is kept back.
    A position behind the end (the log was truncated) gives an empty page that ends at the real end, one in text that
    was rotated away a page from the first byte that is kept.
    """
    with opened_log(run, rank) as log, opened_index(run, rank) as index_file:
        if log is None:
            return Page(next_offset=offset, scanned_from=offset)
        index = LogIndex(index_file)
        end = log.size if until is None else min(until, log.size)
        start = min(max(offset, log.start), log.size)
        stretch, covered = _forward(log, index, selection.stream, (start, max(start, end)), max_bytes)
        at_end = covered >= end
        partial = at_end and (is_over or (is_settled and not selection.search))
        keep = _usable(stretch.data, at_end=at_end, partial=partial, is_over=is_over)
        lines, used = _matching(stretch, keep, selection)
        next_offset = stretch.offset_of(used) if used < len(stretch.data) else covered
        return Page(annotated(lines, index), next_offset, log.size, start, log.start)


def time_at(run: LoggedRun, offset: int, rank: int = 0) -> float | None:
    """When the byte at `offset` was written, epoch seconds; None where the index does not say."""
    with opened_index(run, rank) as index_file:
        index = LogIndex(index_file)
        record = next(index.covering(offset, offset + 1), None)
        return record.time if record else None


def indexed_end(run: LoggedRun, rank: int = 0) -> int | None:
    """Bytes of the log that the index covers; None without index."""
    with opened_index(run, rank) as index_file:
        index = LogIndex(index_file)
        return index.end if index else None


def annotated(lines: list[Line], index: LogIndex) -> list[Line]:
    """Lines with time and stream of the write that began them."""
    covered, walk, result = index.end, Walk(index), []
    for line in lines:
        record = walk.at(line.offset) if line.offset < covered else None
        if record is not None:
            line = Line(*line[:4], record.time, WORDS.get(record.stream))
        result.append(line)
    return result


def _end(log: LogFile, index: LogIndex, selection: Selection) -> int:
    """Where reading goes on after a tail: a stream is known only as far as the index reaches, and whether an
    unfinished line matches a search is not known before it is whole."""
    if selection.search:
        plain = Selection(selection.stream)
        last = newest_lines(Backward(log, index, selection.stream, LINE_BYTES), 1, plain)
        if last and last[0].is_partial:
            return last[0].offset
    return log.size if selection.stream is None or not index else min(log.size, index.end)


def _forward(
    log: LogFile, index: LogIndex, stream: Stream | None, place: tuple[int, int], max_bytes: int
) -> tuple[Stretch, int]:
    """Bytes of `stream` in `place` (start, end), and the position up to which they were looked for."""
    start, end = place
    if stream is None or (not index and stream is Stream.STDOUT):
        end = min(end, start + max_bytes)
        data = log.read(start, end)
        return Stretch.of([(start, data)]), start + len(data)
    wanted: list[Record] = []
    covered, size = start, 0
    for number, record in enumerate(index.covering(start, end)):
        if size >= max_bytes or number >= INDEX_LIMIT:
            break
        covered = min(record.end, end)
        if record.stream == stream:
            wanted.append(record)
            size += record.length
    return read_records(log, wanted, start, end), covered


def _usable(data: bytes, *, at_end: bool, partial: bool, is_over: bool) -> int:
    """How many bytes of `data` to give now: whole lines, and an unfinished last one only if `partial`."""
    if partial:
        return len(data) if is_over else whole_characters(data)
    lines = data.rfind(b"\n") + 1
    if lines or at_end:
        return lines
    return whole_characters(data)


def _matching(stretch: Stretch, keep: int, selection: Selection) -> tuple[list[Line], int]:
    """Lines among the first `keep` bytes, and how many bytes were used for them."""
    data = stretch.data[:keep]
    if selection.collapse and moves_up(data):
        used = next(islice((end for _, end in spans(data)), MAX_LINES - 1, None), keep)
        return redrawn(stretch.part(0, used), selection), used
    lines: list[Line] = []
    for start, end in spans(data):
        if len(lines) == MAX_LINES:
            return lines, start
        if data.find(selection.needle, start, end) >= 0:
            lines.append(line_at(stretch, start, end, collapse=selection.collapse))
    return lines, keep
