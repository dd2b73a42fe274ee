"""Runs as the scheduler leaves them, and the records that their supervisors would write."""

import json
import os
import time
from pathlib import Path
from typing import Any

from django.utils import timezone

from gpus.models import Node
from tests.make import make_node, make_run, make_task
from tests.waiting import until
from training.execution.control import Control
from training.execution.identity import ProcessIdentity
from training.execution.remains import end_remaining
from training.models import Run, Task


def placed(command: list[str] | str = "exit 0", *, ranks: int = 1, status: str = "starting", **fields: Any) -> Run:
    """A placed run of a new active task; `fields` are the task's."""
    fields = {"status": "active", "pending_runs": 0, "started_at": timezone.now(), "grace_s": 5, **fields}
    return placed_again(make_task(command=command, **fields), ranks=ranks, status=status)


def placed_again(task: Task, *, ranks: int = 1, status: str = "starting") -> Run:
    """One more execution of a task."""
    run = make_run(task, status=status, node=Node.objects.first() or make_node())
    for rank in range(ranks):
        run.processes.create(rank=rank)
    return run


def recorded(run: Run, rank: int = 0, **record: Any) -> None:
    """Exit code 0 after one second, unless told otherwise."""
    now = time.time()
    usual = {
        "exit_code": 0, "exit_signal": None, "stop_reason": "", "was_killed": False, "error": "", "pid": 4242,
        "started_at": now - 1, "ended_at": now, "cpu_s": 0.5, "max_rss_kib": 20480, "oom_kills": 0, "leftovers": 0,
        "lost_bytes": 0, "dropped_bytes": 0, "notes": [],
    }  # fmt: skip
    Control(run.pk, rank).write("exit", {**usual, **record})


def exit_of(run: Run, *, within_s: float = 20) -> dict[str, Any]:
    """The exit record, once there is one."""
    return until(lambda: Control(run.pk).read("exit"), within_s=within_s, what=f"exit record of {run.pk}") or {}


def command_of(run: Run) -> ProcessIdentity:
    """The process of the job, once it runs."""
    record = until(lambda: Control(run.pk).read("exec"), what=f"start of {run.pk}")
    assert record is not None
    return ProcessIdentity.from_record(record)


def log_of(run: Run) -> str:
    path = run.directory / "logs.txt"
    return path.read_text() if path.exists() else ""


def end_all_of(home: Path) -> None:
    """Kill every supervisor of this home, and what it started."""
    for record in home.glob("control/*/supervisor.json"):
        supervisor = ProcessIdentity.from_record(json.loads(record.read_text()))
        if supervisor.pid != os.getpid():  # where a test names itself
            supervisor.send(9)
            end_remaining(record.parent.name)
