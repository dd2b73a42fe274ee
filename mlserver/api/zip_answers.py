"""A ZIP archive that is sent while it is made: nothing of it is on disk, and a piece of it in memory."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

# The format knows no earlier year.
FIRST_YEAR = 1980


class Entry(NamedTuple):
    name: str
    pieces: Iterator[bytes]
    is_packed: bool = True
    """False: it is stored as it is, because it is compressed already."""


class Pipe(io.RawIOBase):
    """What was written since it was last taken."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._written.append(bytes(data))
        return len(self._written[-1])

    def taken(self) -> bytes:
        written, self._written = self._written, []
        return b"".join(written)


def zipped(entries: Iterable[Entry], at: datetime) -> Iterator[bytes]:
    """The archive, in pieces about as large as those of the entries; `at` is the time of all of them."""
    pipe = Pipe()
    stamp = (max(at.year, FIRST_YEAR), at.month, at.day, at.hour, at.minute, at.second)
    with zipfile.ZipFile(pipe, "w") as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.name, stamp)
            info.compress_type = zipfile.ZIP_DEFLATED if entry.is_packed else zipfile.ZIP_STORED
            info.external_attr = 0o600 << 16
            with archive.open(info, "w", force_zip64=True) as file:
                for piece in entry.pieces:
                    file.write(piece)
                    if written := pipe.taken():
                        yield written
    yield pipe.taken()
