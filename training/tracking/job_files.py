"""Opening files that a job may have written. Its directory belongs to it, so nothing there is trusted."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from training import paths

# What a job can leave where a file should be: nothing, a link, a directory, a socket, a file of another user.
NOT_A_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EACCES, errno.EPERM}
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a FIFO without writer would block the open for ever.
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class RunWithFiles(Protocol):
    @property
    def directory(self) -> Path: ...


class OpenFile:
    """A regular file and its size at the time of opening, in bytes; reads never move a shared position."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def read(self, start: int, end: int) -> bytes:
        """Bytes [start, end); fewer when the file was truncated meanwhile."""
        pieces: list[bytes] = []
        while start < end and (piece := os.pread(self._descriptor, end - start, start)):
            pieces.append(piece)
            start += len(piece)
        return b"".join(pieces)


@contextlib.contextmanager
def opened_in_run(run: RunWithFiles, name: str) -> Iterator[OpenFile | None]:
    """A regular file of this name in the run directory; None when there is none."""
    with opened_below(paths.runs_root(), run.directory / name) as file:
        yield file


@contextlib.contextmanager
def opened_below(root: Path, path: Path) -> Iterator[OpenFile | None]:
    """The regular file at `path` inside `root`, None when there is none; follows no link on the way."""
    descriptor = _open_below(root, path)
    if descriptor is None:
        yield None
        return
    try:
        yield OpenFile(descriptor)
    finally:
        os.close(descriptor)


def _open_below(root: Path, path: Path) -> int | None:
    """Step by step from `root`, following no link on the way: a job may swap its directory for one."""
    *folders, name = path.relative_to(root).parts
    try:
        here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for folder in folders:
            parent, here = here, _open_in(here, folder, FOLDER)
            os.close(parent)
        descriptor = _open_in(here, name, FILE)
        os.close(here)
    except OSError as error:
        if error.errno in NOT_A_FILE:
            return None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def _open_in(folder: int, name: str, flags: int) -> int:
    """Open `name` in the open `folder`; closes `folder` when that fails."""
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError:
        os.close(folder)
        raise
