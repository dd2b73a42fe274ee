"""Append to a file so that what was said is kept: one write per line, and no buffer that a SIGKILL could lose."""

import contextlib
import errno
import json
import os
from pathlib import Path

from mlserver_client.forks import renew_after_fork
from mlserver_client.warn import warn_once

# O_APPEND: the kernel moves to the end and writes in one step, so threads and processes never write into each other.
FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
# Where the last record is looked for.
TAIL_BYTES = 1024**2


class Spool:
    """A file of lines. Any number of threads and processes may append at once; a fork gets a descriptor of its own.

    Nothing here raises: a line that could not be written is counted in `lost`, and the next is tried again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost = 0
        # The last line has no end (a full disk): the next begins with one, so only the torn line is lost.
        self._is_torn = False
        self._descriptor = -1
        self._open()
        renew_after_fork(self)

    def append(self, line: bytes) -> bool:
        """`line` ends with a newline. False when it was not written whole."""
        if self._is_torn:
            line = b"\n" + line
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            return self._failed(error)
        if written != len(line):
            self._is_torn = True
            return self._failed(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        self._is_torn = False
        return True

    def _failed(self, error: OSError) -> bool:
        self.lost += 1
        if error.errno == errno.EBADF:  # somebody closed all descriptors, or it could not be opened before
            error = self._open() or error
        warn_once(f"spool {self.path}", f"{self.path} cannot be written, records are lost: {error.strerror}")
        return False

    def _open(self) -> OSError | None:
        try:
            self._descriptor = os.open(self.path, FLAGS, 0o640)
            self._is_torn = ends_torn(self.path)
        except OSError as error:
            self._descriptor = -1
            return error
        return None

    def after_fork(self) -> None:
        """The parent goes on writing: what it knew of the last line is better than a look in the middle of a write."""
        was_torn = self._is_torn
        self.close()
        if self._open() is None:
            self._is_torn = was_torn

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def ends_torn(path: Path) -> bool:
    """Does the file end within a line?

    Of a file that another process is writing to it may say so wrongly; an empty line follows, and readers pass it over.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return False
        file.seek(size - 1)
        return file.read(1) != b"\n"


def last_step(path: Path) -> int:
    """The step of the last record of numbers in a file of lines, 0 without one."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = file.read().split(b"\n")
    except OSError:
        return 0
    for line in reversed(lines):
        with contextlib.suppress(ValueError, LookupError, TypeError):
            return int(json.loads(line)["data"]["global_step"])
    return 0
