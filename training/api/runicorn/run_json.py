"""Runs as the Runicorn API shows them. Lists may have thousands: rows are tuples, and nothing is made twice."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.db.models import Count, F, FilteredRelation, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.db.models.lookups import In
from orjson import Fragment

from mlserver.api.reading import Row
from mlserver.instants import EpochSeconds
from mlserver.prepared import Prepared
from training import paths
from training.api.runicorn.lookup import checked_run_id, unknown
from training.api.runicorn.statuses import STATUSES
from training.models import Run, RunArtifact, Usage
from training.models.run import RunQuerySet

# What a run without a name is called, as its directory is.
UNNAMED = "default"
COLUMNS = (
    F("id"), F("project"), F("name"), F("dir_name"), F("outside_dir"), EpochSeconds("created_at"), F("status"),
    F("first__pid"), F("best_metric_value"), F("best_metric_name"),
)  # fmt: skip
DETAILS = (EpochSeconds("updated_at"), EpochSeconds("ended_at"), Cast("tags", TextField()))
SUMMARY, DELETED_AT = Cast("summary", TextField()), EpochSeconds("deleted_at")
# By run: versions that it made and that it used.
NONE = (0, 0)
# Longer lists of ids are slower than a range of rows, and in the end more than a statement takes.
FEW = 100
Counts = Mapping[str, Sequence[int]]


def columns_of(runs: RunQuerySet, *more: Any) -> "QuerySet[Run, tuple[Any, ...]]":
    """COLUMNS of each run, and `more` behind them."""
    first = FilteredRelation("processes", condition=Q(processes__rank=0))
    return runs.annotate(first=first).values_list(*COLUMNS, *more)


def counts_of(mine: Q | In) -> "QuerySet[RunArtifact, tuple[str, int, int]]":
    """Of each run that has any: itself, the versions that it made, and those that it used."""
    made, used = (Count("pk", filter=Q(usage=usage)) for usage in (Usage.PRODUCED, Usage.USED))
    return RunArtifact.objects.filter(mine).order_by().values_list("run_id").annotate(made=made, used=used)


NEWEST_FIRST = Prepared(lambda: columns_of(Run.objects.visible().newest_first()))
BY_ID = Prepared(lambda pk: columns_of(Run.objects.visible().filter(pk=pk), *DETAILS, SUMMARY))
BY_ALIAS = Prepared(lambda alias: columns_of(Run.objects.visible().filter(aliases__alias=alias), *DETAILS, SUMMARY))
COUNTS_OF_FEW = Prepared(lambda *ids: counts_of(In(F("run_id"), ids)))
COUNTS_BETWEEN = Prepared(lambda first, last: counts_of(Q(run_id__gte=first, run_id__lte=last)))


def list_newest() -> list[Row]:
    """R1 objects of all runs, in two queries."""
    rows = NEWEST_FIRST.rows()
    return render_rows(rows, artifact_counts(rows))


def list_runs(runs: RunQuerySet) -> list[Row]:
    """R1 objects, in two queries."""
    rows = list(columns_of(runs))
    return render_rows(rows, artifact_counts(rows))


def render_rows(rows: Sequence[Sequence[Any]], counts: Counts) -> list[Row]:
    root, found, width = str(paths.runs_root()), [], len(COLUMNS)
    # `*_` would make a list for each row.
    short = rows if not rows or len(rows[0]) == width else [row[:width] for row in rows]
    for run_id, project, name, dir_name, outside_dir, created, status, pid, value, metric in short:
        made, used = counts.get(run_id, NONE)
        found.append(
            {
                "id": run_id,
                "run_dir": outside_dir or folder_of(root, project, dir_name or name) + run_id,
                "created_time": created,
                "status": STATUSES[status],
                "pid": pid,
                "best_metric_value": value,
                "best_metric_name": metric or None,
                "project": project,
                "name": name or UNNAMED,
                "artifacts_created_count": made,
                "artifacts_used_count": used,
            }
        )
    return found


@lru_cache(maxsize=4096)
def folder_of(root: str, project: str, name: str) -> str:
    """Where the runs of this name lie, with a slash behind it: making such a path takes longer than the rest."""
    return f"{root}/{paths.runs_dir(project, name).relative_to(paths.runs_root())}/"


def artifact_counts(rows: Sequence[Sequence[Any]]) -> Counts:
    """Of those of the runs that have any, and maybe of others."""
    if not rows:
        return {}
    ids = [row[0] for row in rows]
    # Ids begin with their second, so those of a page are neighbours.
    found = COUNTS_OF_FEW.rows(*ids) if len(ids) <= FEW else COUNTS_BETWEEN.rows(min(ids), max(ids))
    return {run_id: counts for run_id, *counts in found}


def files_of(run_dir: str) -> Row:
    """Where a run keeps its log and its metrics."""
    events = f"{run_dir}/{paths.EVENTS_NAME}"
    return {"logs": f"{run_dir}/{paths.log_name(0)}", "metrics": events, "metrics_step": events}


def render_details(rows: Sequence[Sequence[Any]], counts: Counts) -> list[Row]:
    """R1 objects with what rows of COLUMNS and DETAILS say beyond them."""
    found = render_rows(rows, counts)
    for item, row in zip(found, rows, strict=True):
        updated_at, ended_at, tags, *_ = row[len(COLUMNS) :]
        item |= files_of(item["run_dir"])
        item["created_at"] = item["created_time"]
        item["updated_at"] = updated_at
        item["ended_at"] = ended_at
        item["tags"] = Fragment(tags)  # JSON already
    return found


def list_details(runs: RunQuerySet) -> list[Row]:
    """R2 objects, in two queries."""
    return details_of(list(columns_of(runs, *DETAILS, SUMMARY)))


def details_of(rows: Sequence[Sequence[Any]]) -> list[Row]:
    """R2 objects of rows that have the summary behind DETAILS."""
    found = render_details(rows, artifact_counts(rows))
    for item, row in zip(found, rows, strict=True):
        item["summary"] = Fragment(row[-1])
    return found


def read_run(run_id: str) -> Row:
    """R2 object, in two queries. Raises BadRequest and NotFound as `find_run` does."""
    rows = BY_ID.rows(checked_run_id(run_id)) or BY_ALIAS.rows(run_id)
    if not rows:
        raise unknown(run_id)
    return details_of(rows)[0]
