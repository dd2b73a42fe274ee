"""Who a process is. A pid alone is never trusted: numbers are used again, after a reboot by anybody."""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from training.execution.supervision import records


@cache
def boot_id() -> str:
    return records.boot_id()


@dataclass(frozen=True)
class ProcessIdentity:
    """(pid, start time in clock ticks after boot, boot id)."""

    pid: int
    start_ticks: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity | None":
        """The process that has this pid now; None when there is none."""
        stat = records.read_stat(pid)
        return cls(pid, stat[3], boot_id()) if stat else None

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "ProcessIdentity":
        return cls(int(record["pid"]), int(record["start_ticks"]), str(record["boot_id"]))

    def is_of_this_boot(self) -> bool:
        return self.boot_id == boot_id()

    def is_alive(self) -> bool:
        """Running now; a zombie has ended."""
        if not self.is_of_this_boot():
            return False
        stat = records.read_stat(self.pid)
        return stat is not None and stat[3] == self.start_ticks and stat[0] not in "ZX"

    def open_pidfd(self) -> int | None:
        """A file descriptor that becomes readable when this very process ends; None when it has ended."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return None
        # Looked at after opening: from here on the descriptor cannot come to mean another process.
        if self.is_alive():
            return handle
        os.close(handle)
        return None

    def send(self, signum: int) -> bool:
        """Signal this very process; False when it has ended."""
        handle = self.open_pidfd()
        if handle is None:
            return False
        try:
            signal.pidfd_send_signal(handle, signum)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True
