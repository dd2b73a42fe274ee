"""Processes as the FlowLine API shows them."""

import shlex
from typing import Any

from django.db.models import QuerySet

from mlserver.api.reading import Row
from mlserver.instants import EpochSeconds
from mlserver.prepared import Prepared
from training.api.flowline.statuses import PROCESS
from training.models import RunProcess
from training.models.run import ACTIVE

MOST_ENDED = 100
NO_GPU = -1
COLUMNS = (
    "id", "pid", "start_time", "end_time", "exit_code", "exit_signal", "run__status", "run__task_id",
    "run__task__name", "run__task__command", "run__task__owner__username", "gpu_index",
)  # fmt: skip


def number_of(process_id: int) -> int:
    """Processes are counted from 0."""
    return process_id - 1


def gpu_id(row: Row) -> int:
    index: int | None = row["gpu_index"]
    return NO_GPU if index is None else index


def process_rows() -> "QuerySet[RunProcess, Row]":
    """Processes that this server started, of tasks that were not deleted."""
    processes = RunProcess.objects.of_listed_tasks().launched().with_gpu_index()
    times = {"start_time": EpochSeconds("started_at"), "end_time": EpochSeconds("ended_at")}
    rows: QuerySet[RunProcess, Row] = processes.annotate(**times).values(*COLUMNS)
    return rows


LIVE = Prepared(lambda: process_rows().filter(run__status__in=ACTIVE).order_by("pk"))
LAST = Prepared(lambda: process_rows().exclude(ended_at=None).order_by("-ended_at")[:MOST_ENDED])


def listed() -> list[Row]:
    """Those that run and the last that ended; the live one of two with one pid comes last."""
    live = LIVE.dicts()  # asked for first: one that ends meanwhile is in both
    return [*reversed(LAST.dicts()), *live]


def render_process(row: Row) -> Row:
    """Of COLUMNS."""
    line = command_line(row["run__task__command"])
    return {
        "name": row["run__task__name"],
        "status": PROCESS[row["run__status"]],
        "process_id": number_of(row["id"]),
        "pid": row["pid"],
        "task_id": row["run__task_id"],
        "gpu_id": gpu_id(row),
        "start_time": row["start_time"],
        "cmd": line,
        "func": line,
        "user": row["run__task__owner__username"],
        "end_time": row["end_time"],
        "return_code": return_code(row),
    }


def return_code(row: Row) -> int | None:
    """As Python's subprocess says it: the exit code, or minus the signal."""
    signal: int | None = row["exit_signal"]
    code: int | None = row["exit_code"]
    return -signal if signal else code


def command_line(command: Any) -> str:
    return command if isinstance(command, str) else shlex.join(command)
