"""The log of the server itself as a file: what goes to standard error goes there too, from all processes of `serve`.

`server.log` is the newest; when it is full it becomes `server.1.log`, and so on up to `server.4.log`, the oldest.
"""

import contextlib
import fcntl
import io
import logging
import os
import sys
from logging.handlers import WatchedFileHandler
from pathlib import Path

from django.conf import settings

from mlserver import paths
from mlserver.log_roles import RoleFilter

log = logging.getLogger(__name__)

NAME, FULL_NAME, LOCK_NAME = "server.log", "server.{}.log", "rotation.lock"
KEPT = 4
# The FlowLine API takes lines of this form apart, see training/api/flowline/logs.py.
LINE = "[%(asctime)s] [%(levelname)s] - %(role)s %(name)s: %(message)s"
# A record is written at once up to this size, so that lines of several processes do not mix.
RECORD_BYTES = 256 * 1024
# Loggers that do not pass their records on to the root.
APART = ("django-q",)


def log_to_file() -> None:
    """From now on, in this process and those that it forks. Where it cannot be, standard error says so and is all."""
    if not settings.SERVER_LOG_BYTES:
        return
    try:
        paths.server_logs_root().mkdir(mode=0o700, exist_ok=True)
        handler = ServerLog(paths.server_logs_root(), settings.SERVER_LOG_BYTES)
    except OSError as error:
        log.warning("no log file is written: %s", error)
        return
    for name in ("", *APART):
        logging.getLogger(name).addHandler(handler)


class ServerLog(WatchedFileHandler):
    """Any number of processes may write at once; each finds out by itself that another one has rotated.

    A disk that is full or broken loses lines of the file and disturbs nobody: they are on standard error as well.
    """

    def __init__(self, directory: Path, rotate_bytes: int) -> None:
        self.directory, self.rotate_bytes = directory, rotate_bytes
        super().__init__(directory / NAME, encoding="utf-8", errors="backslashreplace")
        self.setFormatter(logging.Formatter(LINE))
        self.addFilter(RoleFilter())

    def _open(self) -> io.TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return open(descriptor, "a", buffering=RECORD_BYTES, encoding=self.encoding, errors=self.errors)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
            if self.stream is not None and os.fstat(self.stream.fileno()).st_size >= self.rotate_bytes:
                self.rotate()
        except OSError:
            self.handleError(record)

    def rotate(self) -> None:
        """The next record of each process goes to a new file. Another process may just be doing it: then it does."""
        with open(os.open(self.directory / LOCK_NAME, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if Path(self.baseFilename).stat().st_size < self.rotate_bytes:
                return
            names = [NAME, *(FULL_NAME.format(number) for number in range(1, KEPT + 1))]
            for newer, older in reversed(list(zip(names, names[1:], strict=False))):
                if (self.directory / newer).exists():
                    (self.directory / newer).replace(self.directory / older)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the name is logging's
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)
            return
        # Opened anew by the next record.
        stream, self.stream = self.stream, None
        with contextlib.suppress(OSError):  # what it could not write before
            if stream is not None:
                stream.close()
