"""Wake another process at once through a named pipe, with a short line of data or none.

A pipe needs no port and no reader: a notification without reader is dropped, because whoever waits also looks
by itself from time to time. Lines up to PIPE_BUF bytes never mix.
"""

import contextlib
import errno
import os
import select
from pathlib import Path

READ_BYTES = 65536


def notify(path: Path, line: str = "") -> bool:
    """Send one line; False when nobody reads or the pipe is full (the reader is awake then anyway)."""
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return False
        raise
    try:
        os.write(pipe, line.encode() + b"\n")
    except (BlockingIOError, BrokenPipeError):
        return False
    finally:
        os.close(pipe)
    return True


class Wakeup:
    """The reading end. Opened for reading and writing, so it never sees end-of-file between writers."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._rest = b""

    def fileno(self) -> int:
        return self._pipe

    def wait(self, timeout_s: float) -> list[str]:
        """Lines that came, at the latest after `timeout_s`; an empty list then."""
        ready, _, _ = select.select([self._pipe], [], [], timeout_s)
        return self.read() if ready else []

    def read(self) -> list[str]:
        """Lines waiting now, without blocking."""
        try:
            data = self._rest + os.read(self._pipe, READ_BYTES)
        except BlockingIOError:
            return []
        *lines, self._rest = data.split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def close(self) -> None:
        os.close(self._pipe)
