"""Tasks as the native API shows them."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from rest_framework.request import Request

from mlserver.accounts.permissions import is_admin
from mlserver.api.reading import Row
from training.api.native.gpus_of_runs import gpus_of_runs
from training.models import Run, Task, TaskDependency
from training.queue.line import places_in_line

COLUMNS = (
    "id", "job_id", "name", "project", "source", "tags", "labels", "description", "array_id", "array_index",
    "array_size", "schedule_id", "command", "cwd", "env", "config", "gpus", "gpu_memory_mib", "cpus", "memory_mib",
    "ranks", "pool", "queue", "priority", "repeat", "max_retries", "backoff_s", "time_limit_s", "grace_s", "status",
    "waiting_reason", "pending_runs", "retries_used", "runs_completed", "runs_failed", "created_at", "queued_at",
    "started_at", "ended_at", "stop_requested_at",
)  # fmt: skip
NEWEST_RUN_COLUMNS = ("id", "status", "exit_class", "exit_code", "started_at", "ended_at")


@dataclass(frozen=True)
class Viewer:
    """Who looks: environment values may hold secrets, so they are the owner's and administrators' to see."""

    user_id: int | None
    is_admin: bool

    @classmethod
    def of(cls, request: Request) -> "Viewer":
        return cls(request.user.pk, is_admin(request))

    def may_see_env(self, owner_id: int) -> bool:
        return self.is_admin or owner_id == self.user_id


def task_rows() -> "QuerySet[Task, Row]":
    """What `render_tasks` needs of each task, in one query."""
    tasks: QuerySet[Task] = Task.objects.visible().with_newest_run()
    # Few tasks have dependencies: they are read for those only.
    tasks = tasks.annotate(has_needs=Exists(TaskDependency.objects.filter(task=OuterRef("pk"))))
    rows: QuerySet[Task, Row] = tasks.values(
        *COLUMNS,
        "is_exclusive",
        "owner_id",
        "owner__username",
        "newest_run_id",
        "not_before",
        "turn",
        "unmet",
        "has_needs",
    )
    return rows


def render_tasks(rows: list[Row], viewer: Viewer) -> list[Row]:
    """One more query where there are dependencies, two for what ran and two for what waits, for any number of rows."""
    places = places_in_line(rows)
    runs = newest_runs([row["newest_run_id"] for row in rows if row["newest_run_id"]])
    needs = needs_of([row["id"] for row in rows if row["has_needs"]])
    return [_render(row, viewer, places, runs) | {"depends_on": needs[row["id"]]} for row in rows]


def _render(row: Row, viewer: Viewer, places: dict[int, int], runs: dict[str, Row]) -> Row:
    shown: dict[str, Any] = {name: row[name] for name in COLUMNS}
    if not viewer.may_see_env(row["owner_id"]):
        shown["env"] = dict.fromkeys(row["env"])
    shown["schedule"] = shown.pop("schedule_id")
    shown["exclusive"] = row["is_exclusive"]
    shown["owner"] = row["owner__username"]
    shown["position"] = places.get(row["id"])
    shown["newest_run"] = runs.get(row["newest_run_id"])
    return shown


def needs_of(task_ids: Collection[int]) -> dict[int, list[Row]]:
    needs: dict[int, list[Row]] = defaultdict(list)
    if not task_ids:
        return needs
    rows = TaskDependency.objects.filter(task__in=task_ids).order_by("pk")
    for task_id, needed, condition, is_met in rows.values_list("task_id", "needs_id", "condition", "is_met"):
        needs[task_id].append({"task": needed, "condition": condition, "met": is_met})
    return needs


def newest_runs(run_ids: Collection[str]) -> dict[str, Row]:
    if not run_ids:
        return {}
    rows = list(Run.objects.filter(pk__in=run_ids).values(*NEWEST_RUN_COLUMNS, "gpus", "node__name").order_by())
    gpus = gpus_of_runs([row["id"] for row in rows if row["gpus"]])
    return {row["id"]: _render_newest(row, gpus.get(row["id"], [])) for row in rows}


def _render_newest(row: Row, gpus: list[Row]) -> Row:
    return {**{name: row[name] for name in NEWEST_RUN_COLUMNS}, "node": row["node__name"], "gpus": gpus}
