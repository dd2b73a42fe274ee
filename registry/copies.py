"""Copies of content on another file system, which a task of the queue makes in parts: it may not take a minute."""

import contextlib
import fcntl
import math
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from mlserver.heartbeat import is_queue_task, still_at_work

COPYING = ".copying-"
BLOCK_BYTES = 16 * 1024**2
# Of a queue task; beside it there must be time for what else the task does (see mlserver.checks).
PART_S = 15.0


class Unfinished(OSError):
    """A part was copied; whoever copies next goes on from there."""


def copy(blob: Path, link: Path) -> None:
    """Make `link` a copy of `blob`, under a name of its own until it is whole; of two callers one waits.

    Goes on where one left off that was killed: a block is on disk before the next one is begun. Raises Unfinished in a
    queue task after PART_S, with a part done that stays; any other OSError leaves nothing.
    """
    wanted, draft = blob.stat(), link.with_name(f"{COPYING}{blob.name}")
    until = time.monotonic() + (PART_S if is_queue_task() else math.inf)
    with opened(draft) as file:
        with contextlib.suppress(FileNotFoundError):
            if link.lstat().st_size == wanted.st_size:
                draft.unlink()
                return  # made while we waited
        try:
            append(blob, file, wanted.st_size, until)
        except Unfinished:
            raise
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        draft.replace(link)


def append(blob: Path, file: int, size_bytes: int, until: float) -> None:
    """What is missing of the copy; its last block is written again, for only the ones before are known to be whole.

    So a part is two blocks at least.
    """
    there = os.fstat(file).st_size
    begun = done = 0 if there > size_bytes else max(there - 1, 0) // BLOCK_BYTES * BLOCK_BYTES
    os.ftruncate(file, done)
    os.lseek(file, done, os.SEEK_SET)
    with blob.open("rb", buffering=0) as source:
        while count := os.sendfile(file, source.fileno(), done, BLOCK_BYTES - done % BLOCK_BYTES):
            done += count
            if done % BLOCK_BYTES == 0:
                os.fdatasync(file)
            still_at_work()
            if begun + BLOCK_BYTES < done < size_bytes and time.monotonic() > until:
                raise Unfinished(f"{done} of {size_bytes} bytes are copied, the next upkeep goes on")
    os.fsync(file)


@contextlib.contextmanager
def opened(draft: Path) -> Iterator[int]:
    """The draft, ours alone as long as the block lasts. Raises OSError when something else has its name."""
    while True:
        file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise FileExistsError(f"{draft.name} is no plain file")
            take(file)
            if is_at(draft, file):
                yield file
                return
        finally:
            os.close(file)


def take(file: int) -> None:
    """Waits for who copies just now, in a queue task for nobody: it raises Unfinished."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if is_queue_task() else 0))
    except BlockingIOError:
        raise Unfinished("another process is copying it") from None


def is_at(path: Path, file: int) -> bool:
    """Whether the open file still has this name: it is renamed when it is whole, and upkeep removes dead ones."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(file))
    except FileNotFoundError:
        return False
