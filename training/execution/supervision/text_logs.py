"""Text that a script writes with Runicorn's tracking library, as lines of the run's own log.

The library appends to `<root>/<project>/<name>/runs/<id>/logs.txt`, and the root is a directory of this run alone. Its
files are the job's: they are opened step by step, and a link is no file. How far each was read is kept in memory only,
because the supervisor lives from before the first line until after the last.
"""

from __future__ import annotations

import os
import time
from stat import S_ISREG

from training.execution.supervision.capture import READ_BYTES, STDOUT, Capture

TYPE_CHECKING = False  # as in loop.py
if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK_S = 1.0
# Below the root: project, name, `runs`, and the id of each `init`.
DEPTH, NAME = 4, "logs.txt"
MOST_FILES = 1000
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class TextLogs:
    """All such files below `root`, in the order they are found; used by one thread."""

    def __init__(self, root: str, capture: Capture) -> None:
        self.root = root
        self.capture = capture
        self.taken: dict[str, int] = {}
        self.next_at = time.monotonic() + LOOK_S

    def look(self, *, is_over: bool = False) -> None:
        """Take whole lines that are new; with `is_over` a last line without its end, too."""
        self.next_at = time.monotonic() + LOOK_S
        try:
            folder = os.open(self.root, FOLDER)
        except OSError:
            return
        for path, file in files_below(folder, "", DEPTH):
            try:
                if path in self.taken or len(self.taken) < MOST_FILES:
                    self.take(path, file, is_over)
            except OSError as error:
                self.capture.lose(0, error)
            finally:
                os.close(file)

    def take(self, path: str, file: int, is_over: bool) -> None:
        """Nothing is read that the log has no room for, and of each file no more than of a log: it may seem to be
        endless and hold nothing."""
        while self.capture.room > 0 and self.taken.get(path, 0) < self.capture.limit_bytes:
            data = os.pread(file, READ_BYTES, self.taken.get(path, 0))
            end = data.rfind(b"\n") + 1
            if not end and (is_over or len(data) == READ_BYTES):
                end = len(data)
            if not end:
                return
            lines = data[:end] if data.endswith(b"\n", 0, end) else data[:end] + b"\n"
            self.capture.take(lines if self.capture.is_at_line_start else b"\n" + lines, STDOUT)
            self.taken[path] = self.taken.get(path, 0) + end


def files_below(folder: int, path: str, depth: int) -> Iterator[tuple[str, int]]:
    """(path, descriptor) of each regular file NAME so many directories below `folder`, which is closed."""
    try:
        if depth == 0:
            if (file := opened(NAME, FILE, folder)) is not None:
                if S_ISREG(os.fstat(file).st_mode):
                    yield path, file
                else:
                    os.close(file)
            return
        for name in directories_in(folder):
            if depth != 2 or name == "runs":
                inner = opened(name, FOLDER, folder)
                if inner is not None:
                    yield from files_below(inner, f"{path}/{name}", depth - 1)
    finally:
        os.close(folder)


def directories_in(folder: int) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def opened(name: str, flags: int, folder: int) -> int | None:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError:
        return None
