"""A rotated log, or its index, as one file: what was written before its oldest piece is gone, the offsets stay."""

import os
from collections.abc import Iterable

from training.tracking.job_files import OpenFile


class JoinedFile:
    """Files one behind the other. `start` is the offset of the first byte that is there, `size` that of the end."""

    def __init__(self, pieces: Iterable[tuple[int, int, OpenFile]]) -> None:
        """`pieces` are (offset of the first byte, of the byte behind the last, file), the oldest first, no gaps."""
        self._pieces = list(pieces)
        self.start = self._pieces[0][0]
        self.size = self._pieces[-1][1]

    @property
    def facts(self) -> os.stat_result:
        """Those of the newest, but for its size."""
        return self._pieces[-1][2].facts

    def read(self, start: int, end: int) -> bytes:
        """As `OpenFile.read`."""
        data: list[bytes] = []
        for first, last, file in self._pieces:
            if last > start and first < end:
                wanted = min(end, last) - max(start, first)
                data.append(file.read(max(start, first) - first, min(end, last) - first))
                if len(data[-1]) < wanted:
                    break  # truncated meanwhile: what follows would stand in its place
        return b"".join(data)


LogFile = OpenFile | JoinedFile


def joined_text(pieces: list[tuple[int, OpenFile | None]]) -> LogFile | None:
    """The text of `pieces`, (offset of the first byte, file), the oldest first, the last is still written.

    A full piece that is not there, or not whole, is gone with all before it: rotated away, or the job took it.
    """
    found: list[tuple[int, int, OpenFile]] = []
    end: int | None = None
    for base, file in reversed(pieces):
        if file is not None and (end is None or file.size >= end - base):
            found.append((base, base + file.size if end is None else end, file))
        elif end is not None:
            break
        end = base
    found.reverse()
    if len(found) == 1 and found[0][0] == 0:
        return found[0][2]
    return JoinedFile(found) if found else None


def joined_records(files: list[OpenFile], record_bytes: int) -> LogFile | None:
    """The whole records of index files, the oldest first, as of one file without their torn ends."""
    pieces: list[tuple[int, int, OpenFile]] = []
    end = 0
    for file in files:
        start, end = end, end + file.size - file.size % record_bytes
        pieces.append((start, end, file))
    if len(files) == 1:
        return files[0]
    return JoinedFile(pieces) if pieces else None
