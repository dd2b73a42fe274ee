"""Processes as the FlowLine API shows them."""

import shlex
from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from mlserver.api.reading import Row
from training.api.flowline.statuses import PROCESS
from training.models import Lease, RunProcess
from training.models.run import ACTIVE

MOST_ENDED = 100
NO_GPU = -1
COLUMNS = (
    "id", "pid", "started_at", "ended_at", "exit_code", "exit_signal", "run_id", "run__status", "run__gpus",
    "run__task_id", "run__task__name", "run__task__command", "run__task__owner__username",
)  # fmt: skip


def number_of(process_id: int) -> int:
    """Processes are counted from 0."""
    return process_id - 1


def process_rows() -> "QuerySet[RunProcess, Row]":
    """Processes that this server started, of tasks that were not deleted."""
    rows: QuerySet[RunProcess, Row] = RunProcess.objects.of_listed_tasks().launched().values(*COLUMNS)
    return rows


def listed() -> list[Row]:
    """Those that run and the last that ended; the live one of two with one pid comes last."""
    live = process_rows().filter(run__status__in=ACTIVE).order_by("pk")
    ended = process_rows().exclude(ended_at=None).order_by("-ended_at")[:MOST_ENDED]
    return [*reversed(ended), *live]


def render_processes(rows: Collection[Row]) -> list[Row]:
    """One more query for the devices of all."""
    indices = first_gpus([row["run_id"] for row in rows if row["run__gpus"]])
    return [_render(row, indices.get(row["run_id"], NO_GPU)) for row in rows]


def first_gpus(run_ids: Collection[str]) -> dict[str, int]:
    """Run id -> the lowest index among its devices."""
    if not run_ids:
        return {}
    leases = Lease.objects.filter(run_id__in=run_ids).order_by("-gpu__index")
    return dict(leases.values_list("run_id", "gpu__index"))


def _render(row: Row, gpu_index: int) -> Row:
    line = command_line(row["run__task__command"])
    return {
        "name": row["run__task__name"],
        "status": PROCESS[row["run__status"]],
        "process_id": number_of(row["id"]),
        "pid": row["pid"],
        "task_id": row["run__task_id"],
        "gpu_id": gpu_index,
        "start_time": epoch_s(row["started_at"]),
        "cmd": line,
        "func": line,
        "user": row["run__task__owner__username"],
        "end_time": epoch_s(row["ended_at"]),
        "return_code": return_code(row),
    }


def return_code(row: Row) -> int | None:
    """As Python's subprocess says it: the exit code, or minus the signal."""
    signal: int | None = row["exit_signal"]
    code: int | None = row["exit_code"]
    return -signal if signal else code


def command_line(command: Any) -> str:
    return command if isinstance(command, str) else shlex.join(command)


def epoch_s(instant: datetime | None) -> float | None:
    return instant.timestamp() if instant else None
