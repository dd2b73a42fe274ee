"""A supervisor started by hand on a directory of its own, without database or agent."""

import json
import os
import secrets
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.waiting import until
from training.execution import supervisor

ENTRY = struct.Struct("<QdIBxxx")


class Supervised:
    """One supervisor process; `control` and `run_dir` as in production."""

    def __init__(self, root: Path, command: list[str] | str, **spec: Any) -> None:
        self.control = root / "control"
        self.run_dir = root / "run"
        self.log = self.run_dir / "logs.txt"
        for directory in (self.control, self.run_dir):
            directory.mkdir(parents=True, exist_ok=True)
        argv = command if isinstance(command, list) else ["/bin/sh", "-c", command]
        # Of its own: what belongs to a run is found by it among all processes of the machine.
        self.run_id = f"20260101_000000_{secrets.token_hex(3)}"
        self.spec: dict[str, Any] = {
            "run_id": self.run_id, "rank": 0, "argv": argv, "cwd": str(self.run_dir),
            "env": {"PATH": os.environ["PATH"], "MLSERVER_RUN_ID": self.run_id},
            "log_path": str(self.log), "text_root": str(self.run_dir / ".runicorn"),
            "log_limit_bytes": 2**30, "log_rotate_bytes": 0, "log_kept": 0,
            "memory_mib": None, "time_limit_s": None, "grace_s": 2.0, "fifo": str(root / "nobody"), "user": None,
            "umask": 0o022, **spec,
        }  # fmt: skip
        (self.control / "spec.json").write_text(json.dumps(self.spec))

    def start(self, **popen: Any) -> "Supervised":
        self.process = subprocess.Popen(
            [os.path.realpath(sys.executable), "-I", "-S", supervisor.__file__, str(self.control)],
            start_new_session=True,
            env={},
            **popen,
        )
        return self

    def stop(self, *, reason: str = "stopped", grace_s: float = 2.0) -> None:
        (self.control / "stop.json").write_text(json.dumps({"reason": reason, "grace_s": grace_s}))
        self.process.send_signal(signal.SIGTERM)

    def record(self, name: str) -> dict[str, Any] | None:
        path = self.control / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else None

    def started(self) -> dict[str, Any]:
        return until(lambda: self.record("exec"))

    def ended(self, *, within_s: float = 20) -> dict[str, Any]:
        """The exit record, once the supervisor itself is gone."""
        self.process.wait(timeout=within_s)
        record = self.record("exit")
        assert record is not None, "the supervisor left no exit record"
        return record

    def index(self) -> list[tuple[int, float, int, int]]:
        """(offset, time, length, stream) of each write."""
        return list(ENTRY.iter_unpack((self.control / "logs.idx").read_bytes()))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
