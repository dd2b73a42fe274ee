"""Runs as the native API shows them."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone

from mlserver.api.reading import Row
from training.api.native.gpus_of_runs import gpus_of_runs
from training.models import Run, Series
from training.models.best_metric import BEST_COLUMNS
from training.models.run import directory_of

COLUMNS = (
    "id", "project", "name", "source", "status", "exit_class", "exit_code", "exit_signal", "exit_reason", "is_stale",
    "attempt", "created_at", "started_at", "ended_at", "stop_requested_at", "updated_at", "tags", "notes", "config",
    "host", *BEST_COLUMNS,
)  # fmt: skip
SERIES_COLUMNS = ("count", "first", "last", "min", "max", "latest_step")


def run_rows(runs: "QuerySet[Run] | None" = None) -> "QuerySet[Run, Row]":
    """What `render_runs` needs of each run (default: all that were not deleted), in one query."""
    if runs is None:
        runs = Run.objects.visible()
    rows: QuerySet[Run, Row] = runs.values(
        *COLUMNS, "task_id", "dir_name", "outside_dir", "gpus", "summary", "owner__username", "node__name"
    )
    return rows


def render_runs(rows: list[Row]) -> list[Row]:
    """At most two more queries for any number of rows."""
    gpus = gpus_of_runs([row["id"] for row in rows if row["gpus"]])
    summaries = summaries_of([row["id"] for row in rows])
    return [_render(row, gpus.get(row["id"], []), summaries.get(row["id"], {})) for row in rows]


def _render(row: Row, gpus: list[Row], summary: Row) -> Row:
    return {
        **{name: row[name] for name in COLUMNS},
        "task": row["task_id"],
        "owner": row["owner__username"],
        "node": row["node__name"],
        "gpus": gpus,
        "energy_wh": sum(gpu["energy_wh"] for gpu in gpus) if gpus else None,
        "duration_s": duration_s(row["started_at"], row["ended_at"]),
        "run_dir": str(directory_of(row)),
        "summary": summary,
        "script_summary": row["summary"],
    }


def duration_s(started_at: datetime | None, ended_at: datetime | None) -> float | None:
    """Until now for a run that has not ended; None for one that has not started."""
    if started_at is None:
        return None
    return max(((ended_at or timezone.now()) - started_at).total_seconds(), 0.0)


def summaries_of(run_ids: Collection[str]) -> dict[str, Row]:
    """Run id -> series name -> its summary row."""
    summaries: dict[str, Row] = defaultdict(dict)
    series = Series.objects.filter(run_id__in=run_ids).order_by("name")
    for run_id, name, *numbers in series.values_list("run_id", "name", *SERIES_COLUMNS):
        summaries[run_id][name] = dict(zip(SERIES_COLUMNS, numbers, strict=True))
    return summaries
