"""TensorBoard's event files: a sequence of records, each with checksums, most of them scalars of one tag.

Framing (TFRecord): length u64, masked CRC-32C of the length u32, the event, masked CRC-32C of the event u32, little
endian. https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from google_crc32c import value as crc32c

from training.tracking.logs.pieces import LogFile
from training.tracking.metric_files.piece import AT_ONCE_BYTES, Piece, Place, Record, metrics_record
from training.tracking.metric_files.wire import scalars_of

HEADER, CHECKSUM = struct.Struct("<QI"), struct.Struct("<I")
FRAME_BYTES = HEADER.size + CHECKSUM.size
MASK_DELTA = 0xA282EAD8


class Corrupt(Exception):
    """A checksum is wrong: where the next record begins is no longer known."""


@dataclass
class Row:
    """Scalars of one step that were written one after the other; the record of the first begins at `start`."""

    start: int
    step: int
    time: float
    values: Record = field(default_factory=dict)


def read(file: LogFile, place: Place) -> Piece:
    """Scalars of one step become one row. While more may follow, the last step waits for the rest of its tags."""
    data = file.read(place.offset, min(file.size, place.offset + AT_ONCE_BYTES))
    if skipped := beyond_large(file, place, data):
        return Piece(skipped)
    rows: list[Row] = []
    end, bad_records, problem = place.offset, 0, ""
    try:
        for event, next_at in events(data):
            bad_records += not take(event, rows, end, place.prefix)
            end = place.offset + next_at
    except Corrupt:
        problem = f"the record at byte {end} is corrupt"
    is_full = len(data) == AT_ONCE_BYTES
    if rows and not (place.is_settled or place.is_over or problem) and not (is_full and len(rows) == 1):
        end = rows.pop().start
    records = [metrics_record(row.step, row.time, row.values) for row in rows]
    return Piece(end, records, bad_records + bool(problem), problem)


def take(event: bytes, rows: list[Row], at: int, prefix: str) -> bool:
    """Put the scalars of an event behind the others; False when it cannot be read."""
    try:
        said = scalars_of(event)
    except ValueError:
        return False
    for tag, number in said.values:
        name = prefix + tag
        if not rows or rows[-1].step != said.step or name in rows[-1].values:
            rows.append(Row(at, said.step, said.wall_time))
        rows[-1].values[name] = number
    return True


def events(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Each whole record of `data` and where it ends; raises Corrupt."""
    at = 0
    while at + HEADER.size <= len(data):
        begin, end = at + HEADER.size, at + FRAME_BYTES + checked_length(data, at)
        if end > len(data):
            return
        event = data[begin : end - CHECKSUM.size]
        if masked(event) != CHECKSUM.unpack_from(data, end - CHECKSUM.size)[0]:
            raise Corrupt
        yield event, end
        at = end


def beyond_large(file: LogFile, place: Place, data: bytes) -> int:
    """Where to read on when a record begins that no piece can hold: pictures are that large, scalars never. Else 0."""
    if len(data) < HEADER.size:
        return 0
    try:
        end = place.offset + FRAME_BYTES + checked_length(data, 0)
    except Corrupt:
        return 0
    return end if place.offset + AT_ONCE_BYTES < end <= file.size else 0


def checked_length(data: bytes, at: int) -> int:
    length, checksum = HEADER.unpack_from(data, at)
    if masked(data[at : at + 8]) != checksum:
        raise Corrupt
    return int(length)


def masked(data: bytes) -> int:
    """The CRC as TFRecord stores it, rotated and shifted, so that the CRC of bytes with CRCs in them says something."""
    crc: int = crc32c(data)
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFF_FFFF
