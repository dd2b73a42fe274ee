"""The control directory of a run process, as the server reads and writes it."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training import paths
from training.execution.identity import ProcessIdentity
from training.execution.supervision import records


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

    def write_exit(self, record: Mapping[str, Any]) -> bool:
        """The exit record in the name of a supervisor that could not write it; never over an existing one."""
        self.create()
        reserve = self.directory / "exit.reserve"
        if (self.directory / "exit.json").exists():
            return False
        records.write_reserved(str(reserve), str(self.directory / "exit.json"), dict(record))
        return True

    def supervisor(self) -> ProcessIdentity | None:
        record = self.read("supervisor")
        return ProcessIdentity.from_record(record) if record else None

    def supervisor_said(self) -> str:
        """The end of what a broken supervisor wrote to its standard error."""
        with contextlib.suppress(OSError), open(self.directory / "supervisor.err", "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - 2000, 0))
            return file.read().decode(errors="replace").strip()
        return ""
