"""Opening files that a job may have written. Its directory belongs to it, so nothing there is trusted."""

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from training import paths

# What a job can leave where a file should be: nothing, a link, a directory, a socket, a file of another user.
NOT_A_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EACCES, errno.EPERM}
# O_PATH: to pass through a directory one need not be allowed to list it.
FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a FIFO without writer would block the open for ever.
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class RunWithFiles(Protocol):
    @property
    def directory(self) -> Path: ...


class OpenFile:
    """A regular file and its size at the time of opening, in bytes; reads never move a shared position."""

    start = 0

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.facts = os.fstat(descriptor)
        self.size = self.facts.st_size

    def detached(self) -> io.FileIO:
        """The same file, open beyond the block in which this one is; the caller closes it."""
        return io.FileIO(os.dup(self._descriptor), "rb")

    def read(self, start: int, end: int) -> bytes:
        """Bytes [start, end); fewer when the file was truncated meanwhile."""
        pieces: list[bytes] = []
        while start < end and (piece := os.pread(self._descriptor, end - start, start)):
            pieces.append(piece)
            start += len(piece)
        return b"".join(pieces)


@contextlib.contextmanager
def opened_in_run(run: RunWithFiles, name: str) -> Iterator[OpenFile | None]:
    """A regular file of this name, a path relative to the run directory; None when there is none."""
    path = run.directory / name
    with opened_below(root_above(path), path) as file:
        yield file


def root_above(path: Path) -> Path:
    """From where on no link is followed: our own root, or all the way for what lies outside of it."""
    root = paths.runs_root()
    return root if path.is_relative_to(root) else Path("/")


@contextlib.contextmanager
def opened_below(root: Path, path: Path) -> Iterator[OpenFile | None]:
    """The regular file at `path` inside `root`, None when there is none; follows no link on the way."""
    with opened_folder(root, path.parent) as folder:
        if folder is None:
            yield None
            return
        with opened_at(folder, path.name) as file:
            yield file


@contextlib.contextmanager
def opened_folder(root: Path, path: Path) -> Iterator[int | None]:
    """A descriptor to pass through the directory at `path` inside `root` with, None when there is none.

    Step by step from `root`, following no link on the way: a job may swap its directory for one.
    """
    descriptor = _open_folder(root, path)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextlib.contextmanager
def opened_at(folder: int, name: str) -> Iterator[OpenFile | None]:
    """The regular file `name` in the open `folder`."""
    descriptor = _open_file(folder, name)
    if descriptor is None:
        yield None
        return
    try:
        yield OpenFile(descriptor)
    finally:
        os.close(descriptor)


def _open_folder(root: Path, path: Path) -> int | None:
    steps = path.relative_to(root).parts
    if ".." in steps:
        return None
    try:
        here = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        for step in steps:
            parent = here
            try:
                here = os.open(step, FOLDER, dir_fd=parent)
            finally:
                os.close(parent)
    except OSError as error:
        if error.errno in NOT_A_FILE:
            return None
        raise
    return here


def _open_file(folder: int, name: str) -> int | None:
    if "\0" in name or name in ("", ".", ".."):
        return None
    try:
        descriptor = os.open(name, FILE, dir_fd=folder)
    except OSError as error:
        if error.errno in NOT_A_FILE:
            return None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None
