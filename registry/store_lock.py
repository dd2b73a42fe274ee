"""Who uses the blob store: publishers share it, upkeep has it alone for the moment in which it deletes."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings


class StoreInUse:
    """A share of the store, from the moment a blob is in its place until rows refer to it, or never will.

    It ends when the last reference to this object goes, so a transaction that is rolled back, which drops its
    callbacks without calling them, ends it too; so does the death of the process.
    """

    def __init__(self) -> None:
        """Waits for an upkeep that is deleting (milliseconds)."""
        self._file = open_lock()
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def __del__(self) -> None:
        os.close(self._file)


@contextlib.contextmanager
def alone() -> Iterator[bool]:
    """Whether nobody else uses the store, and then nobody can until the end of the block. Does not wait."""
    file = open_lock()
    try:
        yield took_alone(file)
    finally:
        os.close(file)


def took_alone(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def open_lock() -> int:
    path: Path = settings.MLSERVER_HOME / "blobs" / "lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
