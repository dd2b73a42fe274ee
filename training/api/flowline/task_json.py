"""Tasks as the FlowLine API shows them."""

from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import orjson
from django.db.models import QuerySet
from django.utils import timezone

from mlserver.api.reading import Row
from mlserver.local_time import local_time
from mlserver.prepared import Prepared
from training.api.flowline.process_json import gpu_id, number_of
from training.api.flowline.statuses import STATE, TASK
from training.flowline import base_command
from training.models import RunProcess, Task

COLUMNS = (
    "id", "name", "status", "repeat", "runs_completed", "command", "cwd", "config", "created_at", "queued_at",
    "started_at", "ended_at", "owner__username", "newest_run_id",
)  # fmt: skip
PROCESS_COLUMNS = ("run_id", "id", "pid", "started_at", "ended_at", "gpu_index")
# Ids in one statement; databases limit its parameters.
AT_ONCE = 10_000


def task_rows() -> "QuerySet[Task, Row]":
    tasks: QuerySet[Task] = Task.objects.visible().with_newest_run().order_by("pk")
    rows: QuerySet[Task, Row] = tasks.values(*COLUMNS)
    return rows


TASK_OF_PATH = Prepared(lambda pk: task_rows().filter(pk=pk))
PROCESS_OF_RUN = Prepared(lambda run_id: first_processes().filter(run_id=run_id))


def render_task(pk: int) -> Row | None:
    """None when there is none."""
    for row in TASK_OF_PATH.dicts(pk):
        processes = PROCESS_OF_RUN.dicts(row["newest_run_id"]) if row["newest_run_id"] else []
        return _render(row, next(iter(processes), None))
    return None


def render_tasks(rows: Collection[Row]) -> list[Row]:
    """One more query for each ten thousand tasks."""
    run_ids = iter([row["newest_run_id"] for row in rows if row["newest_run_id"]])
    processes: dict[str, Row] = {}
    while some := list(islice(run_ids, AT_ONCE)):
        processes |= {row["run_id"]: row for row in first_processes().filter(run_id__in=some)}
    return [_render(row, processes.get(row["newest_run_id"])) for row in rows]


def first_processes() -> "QuerySet[RunProcess, Row]":
    processes = RunProcess.objects.filter(rank=0).with_gpu_index().order_by()
    rows: QuerySet[RunProcess, Row] = processes.values(*PROCESS_COLUMNS)
    return rows


def _render(row: Row, process: Row | None) -> Row:
    status = TASK[row["status"]]
    cmd = base_command(row["command"], row["config"])
    return {
        "id": row["id"],
        "task_id": row["id"],
        "name": row["name"],
        "status": status,
        "state": STATE[status],
        "run_num": row["runs_completed"],
        "need_run_num": row["repeat"],
        "cmd": cmd,
        "command": cmd,
        "working_dir": row["cwd"] or None,
        "config_dict": row["config"],
        "dict": orjson.dumps(row["config"]).decode(),
        "user": row["owner__username"],
        **_of_process(process),
        "created_at": row["created_at"],
        "updated_at": max(_instants(row)),
    }


def _of_process(process: Row | None) -> dict[str, Any]:
    """The latest process; all null before the first."""
    if process is None:
        return dict.fromkeys(("process_id", "pid", "gpu_id", "startTime", "runTime"))
    return {
        "process_id": number_of(process["id"]),
        "pid": process["pid"],
        "gpu_id": gpu_id(process),
        "startTime": local_time(process["started_at"]) if process["started_at"] else None,
        "runTime": run_time(process["started_at"], process["ended_at"]),
    }


def _instants(row: Row) -> Iterator[datetime]:
    return (row[name] for name in ("created_at", "queued_at", "started_at", "ended_at") if row[name])


def run_time(start: datetime | None, end: datetime | None) -> str | None:
    """Whole minutes, so far for a process that runs."""
    if start is None:
        return None
    return f"{max(int(((end or timezone.now()) - start).total_seconds()), 0) // 60} min"
