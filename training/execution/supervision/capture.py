"""What the process says: bytes into the run's log, and where and when each write came into the index.

A failing disk never stops the process: what cannot be written is counted and said later. A log that the job deletes
is put back from the open file. Where a size to rotate at is set, log and index go on in new files when they reach it.
"""

from __future__ import annotations

import os
import time
from _struct import Struct

from training.execution.supervision.rotation import LOG_FLAGS, Rotation

ENTRY = Struct("<QdIBxxx")  # offset, epoch seconds, length, stream
OWN, STDOUT, STDERR = 0, 1, 2
READ_BYTES = 65536
LOOK_S = 1.0


class Capture:
    """Writer of one log and its index; used by one thread. The limit holds for each file of a rotated log.

    `offset` and the offsets of the index count all bytes since the start; the open log begins at `base`.
    """

    def __init__(self, log_path: str, index_path: str, limit_bytes: int, rotation: Rotation | None = None) -> None:
        self.log_path = log_path
        self.limit_bytes = limit_bytes
        self.rotation = rotation
        self.base = 0
        self.log = os.open(log_path, LOG_FLAGS, 0o640)
        self.index = os.open(index_path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.offset = 0
        self.index_offset = 0
        self.is_at_line_start = True
        self.lost_bytes = 0
        self.dropped_bytes = 0
        self.notes: list[str] = []
        self.looked_at = time.monotonic()

    def take(self, data: bytes, stream: int) -> None:
        """Append `data`; beyond the limit it is dropped, with one line that says so."""
        if time.monotonic() - self.looked_at > LOOK_S:
            self.restore_if_deleted()
        if self.rotation and self.rotation.is_due(
            self.offset - self.base, self.index_offset, is_at_line_start=self.is_at_line_start
        ):
            self.rotate(self.rotation)
        room = self.room
        if len(data) <= room:
            self.append(data, stream)
            return
        if self.dropped_bytes == 0:
            self.append(data[: max(room, 0)], stream)
            self.say(f"the log reached {self.limit_bytes} bytes, the rest is dropped")
        self.dropped_bytes += len(data) - max(room, 0)

    @property
    def room(self) -> int:
        """Bytes that the open log still takes."""
        return self.limit_bytes - (self.offset - self.base)

    def say(self, line: str) -> None:
        """A line of the server itself, on a line of its own."""
        self.append(f"{'' if self.is_at_line_start else chr(10)}mlserver: {line}\n".encode(), OWN)

    def append(self, data: bytes, stream: int) -> None:
        start, written = self.offset, 0
        while written < len(data):
            try:
                written += os.write(self.log, data[written:] if written else data)
            except OSError as error:
                self.lose(len(data) - written, error)
                break
        if written:
            self.is_at_line_start = data[written - 1] == 10
            self.offset = start + written
            self.note_in_index(start, written, stream)

    def note_in_index(self, start: int, length: int, stream: int) -> None:
        """At its own offset, so that a torn entry of a full disk is overwritten by the next."""
        try:
            if os.pwrite(self.index, ENTRY.pack(start, time.time(), length, stream), self.index_offset) == ENTRY.size:
                self.index_offset += ENTRY.size
        except OSError as error:
            self.lose(0, error)

    def lose(self, count: int, error: OSError) -> None:
        self.lost_bytes += count
        self.note(f"log: {os.strerror(error.errno or 0)}")

    def note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def rotate(self, rotation: Rotation) -> None:
        """Go on in a new log and index; where they cannot be made, in the old ones for now."""
        try:
            log, index = rotation.start_piece(self.log, self.base, self.offset)
        except OSError as error:
            self.note(f"the log could not be rotated: {os.strerror(error.errno or 0)}")
            return
        os.close(self.log)
        os.close(self.index)
        self.log, self.index, self.base, self.index_offset = log, index, self.offset, 0

    def restore_if_deleted(self) -> None:
        """The job may delete its own directory; the open file still holds all, so it is copied back."""
        self.looked_at = time.monotonic()
        if os.fstat(self.log).st_nlink:
            return
        try:
            os.makedirs(os.path.dirname(self.log_path), exist_ok=True)
            restored = os.open(self.log_path, LOG_FLAGS, 0o640)
        except OSError as error:
            self.lose(0, error)
            return
        try:
            copied = 0
            while block := os.pread(self.log, READ_BYTES, copied):
                copied += os.write(restored, block)
        except OSError as error:
            self.lose(self.offset - self.base - copied, error)
        os.close(self.log)
        self.log = restored
        self.notes.append("the job deleted its run directory; the log was put back")

    def facts(self) -> dict[str, object]:
        return {
            "log_bytes": self.offset,
            "lost_bytes": self.lost_bytes,
            "dropped_bytes": self.dropped_bytes,
            "notes": self.notes,
        }
