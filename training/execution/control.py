"""The control directory of a run process, as the server reads and writes it."""

import contextlib
import logging
import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training import paths
from training.execution.identity import ProcessIdentity
from training.execution.supervision import records

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Control:
    """Records of one rank of a run: each is absent or whole."""

    run_id: str
    rank: int = 0

    @property
    def directory(self) -> Path:
        return paths.control_dir(self.run_id, self.rank)

    def create(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self, name: str) -> dict[str, Any] | None:
        """The record, or None when it is absent or not readable as one."""
        with contextlib.suppress(OSError, ValueError):
            return records.read_record(str(self.directory / f"{name}.json"))
        return None

    def write(self, name: str, record: Mapping[str, Any]) -> None:
        """Raises OSError, e.g. on a full disk."""
        self.create()
        records.write_record(str(self.directory / f"{name}.json"), dict(record))

    def forget(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self.directory / f"{name}.json").unlink()

    def write_exit(self, record: Mapping[str, Any]) -> bool:
        """The exit record in the name of a supervisor that could not write it; never over an existing one."""
        self.create()
        reserve = self.directory / "exit.reserve"
        if self.read("exit") is not None:  # one that a power failure left in pieces is none
            return False
        records.write_reserved(str(reserve), str(self.directory / "exit.json"), dict(record))
        return True

    def order_stop(self, reason: str, grace_s: float) -> bool:
        """Write stop.json once and signal the supervisor; False when there is none to signal. Safe to repeat.

        The order stands on disk before the signal, so a supervisor that is only starting finds it too. On a full
        disk the signal goes out alone: who stops a job that filled the disk must succeed.
        """
        if self.read("stop") is None:
            try:
                self.write("stop", {"reason": reason, "grace_s": grace_s})
            except OSError as error:
                log.warning("%s rank %d: stop.json could not be written: %s", self.run_id, self.rank, error)
        supervisor = self.supervisor()
        return supervisor is not None and supervisor.send(signal.SIGTERM)

    def supervisor(self) -> ProcessIdentity | None:
        record = self.read("supervisor")
        return ProcessIdentity.from_record(record) if record else None

    def remove(self) -> None:
        """Take away what a launch prepared for a supervisor that never was."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def supervisor_said(self) -> str:
        """The last line that a broken supervisor wrote to its standard error, which names its exception."""
        with contextlib.suppress(OSError), open(self.directory / "supervisor.err", "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - 2000, 0))
            return file.read().decode(errors="replace").strip().rpartition("\n")[2]
        return ""


def ranks_of(run_id: str) -> list[int]:
    """The ranks that have a control directory: 0, and those whose directories lie in its."""
    try:
        names = [entry.name for entry in paths.control_dir(run_id).iterdir()]
    except OSError:
        return [0]
    return [0, *sorted(int(name[4:]) for name in names if name.startswith("rank") and name[4:].isdigit())]
