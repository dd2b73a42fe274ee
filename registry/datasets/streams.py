"""Bytes of files nobody vouches for: read forward, counted against limits, damage told in a sentence."""

import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeAlias

from registry.datasets.facts import Unreadable

MAX_UNPACKED_BYTES = 64 << 30
MAX_RATIO = 200
FREE_OF_RATIO_BYTES = 256 << 20
"""A small file of equal bytes packs 1000 to 1 and does no harm: the ratio counts from here on."""
MAX_READ_BYTES = 64 << 20
"""The most one read may ask for; a header that declares more is refused before memory is given to it."""

# gzip.BadGzipFile is an OSError; zipfile raises NotImplementedError for versions and methods it lacks.
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


class Source(Protocol):
    """What is needed of a file object underneath."""

    def read(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


@contextmanager
def damage_told(what: str) -> Iterator[None]:
    """Turn the exceptions of the standard library's unpackers into Unreadable that names `what`."""
    try:
        yield
    except _DAMAGE as error:
        raise Unreadable(f"{what} is damaged or cut off") from error


class GuardedStream(io.RawIOBase):
    """Forward reading of `source`; raises Unreadable for damage, for a bomb, and for a step back.

    `packed_bytes` is the size of the file the bytes are unpacked from, None when they are not unpacked here.
    """

    def __init__(self, source: Source, what: str, *, packed_bytes: int | None = None) -> None:
        super().__init__()
        self._source, self._what, self._packed_bytes = source, what, packed_bytes
        self._position = 0
        self.last = b""
        """What the newest read gave: it tells a proper end of a tar archive from a torn one."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= MAX_READ_BYTES:
            raise Unreadable(f"{self._what} is damaged: a header declares {size} bytes")
        with damage_told(self._what):
            data = self._source.read(size)
        self._position += len(data)
        self._check_bomb()
        self.last = data
        return data

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = self.read(min(len(buffer), MAX_READ_BYTES))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go forward by reading, so that what is skipped counts too; stops at the end."""
        if whence != io.SEEK_SET or offset < self._position:
            raise Unreadable(f"{self._what} is damaged: its parts do not follow each other")
        while self._position < offset and self.read(min(1 << 20, offset - self._position)):
            pass
        return self._position

    def drain(self) -> None:
        """Read to the end: only then checksums have been compared."""
        while self.read(1 << 20):
            pass

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()

    def _check_bomb(self) -> None:
        if self._packed_bytes is not None:
            check_bomb(self._what, unpacked_bytes=self._position, packed_bytes=self._packed_bytes)


Opener: TypeAlias = Callable[[], AbstractContextManager[GuardedStream]]
"""Opens the same bytes from their start each time it is called."""


def check_bomb(what: str, *, unpacked_bytes: int, packed_bytes: int) -> None:
    """Raises Unreadable when so much comes out of so little that it can only be meant to harm."""
    if unpacked_bytes > MAX_UNPACKED_BYTES:
        raise Unreadable(f"{what} unpacks to more than {MAX_UNPACKED_BYTES >> 30} GiB")
    if unpacked_bytes > FREE_OF_RATIO_BYTES and unpacked_bytes > MAX_RATIO * packed_bytes:
        raise Unreadable(f"{what} unpacks to more than {MAX_RATIO} times its size")
