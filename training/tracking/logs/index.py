"""The supervisor's index of a log: which write put which bytes where, when and from which stream.

Records are 24 bytes, little endian: offset u64, time f64 (epoch s), length u32, stream u8, three bytes of
padding; sorted by offset, because the log is only appended to. A torn last record is ignored. Nothing here
reads a whole index: places are found by binary search, neighbours in blocks.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from training.tracking.logs.pieces import LogFile
from training.tracking.logs.selection import Stream

RECORD = struct.Struct("<QdIBxxx")
STREAM_BYTE = 20
FIRST_RECORDS, BLOCK_RECORDS = 64, 4096


class Record(NamedTuple):
    offset: int
    time: float
    length: int
    stream: int

    @property
    def end(self) -> int:
        return self.offset + self.length


class LogIndex:
    """Records of one log file, as far as they were complete when the file was opened. Empty without file."""

    def __init__(self, file: LogFile | None) -> None:
        self._file = file
        self.count = file.size // RECORD.size if file else 0

    def __len__(self) -> int:
        return self.count

    @property
    def end(self) -> int:
        """Offset in the log behind the last indexed byte."""
        return self[self.count - 1].end if self.count else 0

    def __getitem__(self, number: int) -> Record:
        return next(self.records(number, number + 1))

    def records(self, first: int, last: int) -> Iterator[Record]:
        """Records [first, last), read in blocks."""
        for start in range(first, min(last, self.count), BLOCK_RECORDS):
            yield from map(Record._make, RECORD.iter_unpack(self._block(start, min(last, start + BLOCK_RECORDS))))

    def find(self, offset: int) -> int:
        """Number of the first record that ends behind `offset`; the count when none does."""
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if self[middle].end > offset:
                high = middle
            else:
                low = middle + 1
        return low

    def covering(self, start: int, end: int) -> Iterator[Record]:
        """Records with bytes in [start, end)."""
        for record in self.records(self.find(start), self.count):
            if record.offset >= end:
                return
            yield record

    def of_stream_backward(self, stream: Stream, limit: int) -> Iterator[list[Record]]:
        """Records of `stream`, the newest block first, each block in the order of the log.

        Looks at no more than `limit` records, whatever their stream.
        """
        last, oldest = self.count, max(0, self.count - limit)
        while last > oldest:
            first = max(oldest, last - BLOCK_RECORDS)
            block = self._block(first, last)
            if stream in block[STREAM_BYTE :: RECORD.size]:
                yield [record for record in map(Record._make, RECORD.iter_unpack(block)) if record.stream == stream]
            last = first

    def _block(self, first: int, last: int) -> bytes:
        assert self._file is not None
        block = self._file.read(first * RECORD.size, last * RECORD.size)
        return block[: len(block) - len(block) % RECORD.size]


class Walk:
    """Records at places that move on through the log: neighbours share one read, and the next read is a longer one."""

    def __init__(self, index: LogIndex) -> None:
        self._index = index
        self._records: list[Record] = []
        self._at = self._next = 0
        self._step = FIRST_RECORDS

    def at(self, offset: int) -> Record | None:
        """The write that put the byte at `offset`; None where the index does not say. Never goes back."""
        records = self._records
        if not records or offset >= records[-1].end:
            self._move_to(offset)
            records = self._records
        while self._at < len(records) and records[self._at].end <= offset:
            self._at += 1
        return records[self._at] if self._at < len(records) and records[self._at].offset <= offset else None

    def _move_to(self, offset: int) -> None:
        first, last = self._next, min(self._next + self._step, len(self._index))
        is_near = bool(self._records) and last > first and offset < self._index[last - 1].end
        if not is_near:
            first = self._index.find(offset)
        self._records = list(self._index.records(first, first + self._step))
        self._at, self._next, self._step = 0, first + self._step, min(self._step * 2, BLOCK_RECORDS)
