"""Lines of the standard output that are one JSON object with numbers in it."""

from bisect import bisect_right
from collections.abc import Iterator

from training.models import Run
from training.tracking.logs.files import opened_index
from training.tracking.logs.index import LogIndex
from training.tracking.logs.index import Record as Write
from training.tracking.logs.pieces import LogFile
from training.tracking.logs.selection import Stream
from training.tracking.metric_files.lines import piece_of, whole_lines
from training.tracking.metric_files.piece import Piece, Place, Record
from training.tracking.spool import parsed

# Much is printed and little of it is metrics: searching costs far less than parsing.
AT_ONCE_BYTES = 1024**2
LONGEST_LINE = 16 * 1024


def read(file: LogFile, place: Place, run: Run) -> Piece:
    data = file.read(place.offset, min(file.size, place.offset + AT_ONCE_BYTES))
    length = whole_lines(data, AT_ONCE_BYTES, is_over=place.is_over)
    lines = list(object_lines(data[:length]))
    if not lines:
        return Piece(place.offset + length)
    with opened_index(run, 0) as index_file:
        index = LogIndex(index_file)
        if index.count and not place.is_over and index.end < place.offset + length:
            # The supervisor writes the log first: what it has not noted yet is looked at next time.
            length = data.rfind(b"\n", 0, max(index.end - place.offset, 0)) + 1
        writes = list(index.covering(place.offset, place.offset + length))
    rows: list[tuple[Record, float | None]] = []
    for at, line in lines:
        write = write_at(place.offset + at, writes)
        is_said = at < length and (write is None or write.stream == Stream.STDOUT)
        if is_said and (found := parsed(line)) is not None:
            rows.append((found, write.time if write else None))
    return piece_of(rows, place, place.offset + length)


def object_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Where each line begins that looks like an object, and the line."""
    at = 0 if data.startswith(b"{") else next_object(data, 0)
    while at >= 0:
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        if end - at <= LONGEST_LINE and data[at:end].rstrip().endswith(b"}"):
            yield at, data[at:end]
        at = next_object(data, end)


def next_object(data: bytes, at: int) -> int:
    """Where the next line begins that starts with a brace; -1: none does."""
    found = data.find(b"\n{", at)
    return found if found < 0 else found + 1


def write_at(offset: int, writes: list[Write]) -> Write | None:
    """The write that the byte is of. None where the index does not know it: then it is taken for standard output."""
    at = bisect_right(writes, offset, key=lambda write: write.offset) - 1
    return None if at < 0 else writes[at]
