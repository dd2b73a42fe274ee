"""A log in pieces: when one is full it gets the name of its first byte, and the next takes its place.

`logs.txt` is the piece that is written. The pieces before it are `logs.txt.<offset of the first byte>`, their indexes
`logs.idx`, of which the first piece's has no number, and `logs.idx.<offset>`. Readers take the offsets from the control
directory, so the order below is one in which each step alone leaves a log that is whole: the old log is renamed, a new
one is made, and only its index says where it begins. Nothing is written in between.
"""

from __future__ import annotations

import os
import time
from errno import EEXIST

# The job owns the directory: no link is followed, nothing that waits under the log's name is written to.
LOG_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
INDEX_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A piece ends with a line, unless that line is longer than this.
LINE_BYTES = 1024**2
RETRY_S = 1.0


class Rotation:
    """`rotate_bytes`: size of a log or an index that is enough; `kept`: how many full pieces stay, the newest."""

    def __init__(self, log_path: str, index_path: str, rotate_bytes: int, kept: int) -> None:
        self.directory, self.name = os.path.split(log_path)
        self.index_path = index_path
        self.rotate_bytes = rotate_bytes
        self.kept = kept
        self.bases: list[int] = []
        self.failed_at: float | None = None

    def is_due(self, log_bytes: int, index_bytes: int, *, is_at_line_start: bool) -> bool:
        excess = max(log_bytes, index_bytes) - self.rotate_bytes
        if excess < 0 or not (is_at_line_start or excess >= LINE_BYTES):
            return False
        return self.failed_at is None or time.monotonic() - self.failed_at > RETRY_S

    def start_piece(self, log: int, base: int, offset: int) -> tuple[int, int]:
        """Descriptors of a new log and its index, for what follows the byte `offset`; `log` is the full one.

        Raises OSError when that is not possible now; then the old log has its name again.
        """
        self.failed_at = time.monotonic()
        directory = os.open(self.directory, DIRECTORY)
        try:
            self.expect(log, directory)
            made = self.replace(directory, base, offset)
            self.bases.append(base)
            self.forget_oldest(directory)
        finally:
            os.close(directory)
        self.failed_at = None
        return made

    def replace(self, directory: int, base: int, offset: int) -> tuple[int, int]:
        full = piece_name(self.name, base)
        os.rename(self.name, full, src_dir_fd=directory, dst_dir_fd=directory)
        try:
            return self.make_files(directory, offset)
        except OSError:
            os.rename(full, self.name, src_dir_fd=directory, dst_dir_fd=directory)
            raise

    def expect(self, log: int, directory: int) -> None:
        """What the job may have put in the place of its log, or of its directory, is left alone."""
        named, ours = os.stat(self.name, dir_fd=directory, follow_symlinks=False), os.fstat(log)
        if (named.st_dev, named.st_ino) != (ours.st_dev, ours.st_ino):
            raise OSError(EEXIST, "not the log")

    def make_files(self, directory: int, offset: int) -> tuple[int, int]:
        log = os.open(self.name, LOG_FLAGS, 0o640, dir_fd=directory)
        try:
            return log, os.open(piece_name(self.index_path, offset), INDEX_FLAGS, 0o600)
        except OSError:
            os.close(log)
            raise

    def forget_oldest(self, directory: int) -> None:
        """The text first: an index without text says that it was rotated away."""
        while len(self.bases) > self.kept:
            base = self.bases.pop(0)
            for path, where in ((piece_name(self.name, base), directory), (index_name(self.index_path, base), None)):
                try:
                    os.unlink(path, dir_fd=where)
                except OSError:
                    pass  # the job was faster


def piece_name(name: str, base: int) -> str:
    """Sorted by name is sorted by place."""
    return f"{name}.{base:015d}"


def index_name(path: str, base: int) -> str:
    return piece_name(path, base) if base else path
