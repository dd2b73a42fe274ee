"""The recycle bin: runs that were deleted and may come back, until they are erased with their files.

Deleting hides a run and changes nothing else: one that is active goes on, and its end is recorded. Calls take ids of
any number of runs and say of each why nothing was done; an empty sentence means that it was. `only_of` is who may do
this with no runs but its own; None: an administrator.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from mlserver.enqueue import enqueue
from training import erased_files
from training.models import Event, Run, RunAlias
from training.models.run import ACTIVE, DIRECTORY_COLUMNS, ENDED

log = logging.getLogger(__name__)

BY_USER = "user_deleted"
UNKNOWN = "run not found"
IN_BIN = "already deleted"
NOT_IN_BIN = "run not deleted"
NOT_YOURS = "the run belongs to somebody else"
ACTIVE_STILL = "the run is active: stop it first, or wait for its end"
NOT_ERASED = "the run was taken up again, or its files cannot be moved: the log of the server says more"
# So many are erased in one transaction, during which nobody else writes to SQLite.
BLOCK = 100
SWEEP_S = 5
Outcomes = dict[str, str]
Row = dict[str, Any]


def delete(run_ids: Iterable[str], *, by: User, only_of: User | None, reason: str = BY_USER) -> Outcomes:
    """Move runs to the bin, in one transaction; of two calls at once one moves a run."""

    def objection(row: Row) -> str:
        return IN_BIN if row["deleted_at"] else not_allowed(row, only_of)

    def move(runs: "QuerySet[Run]") -> None:
        runs.update(deleted_at=timezone.now(), delete_reason=reason)

    return _change(run_ids, objection, move, "Deleted", f"moved to the recycle bin by {by}: {reason}")


def restore(run_ids: Iterable[str], *, by: User, only_of: User | None) -> Outcomes:
    """Take runs out of the bin, in one transaction. Files that an interrupted erasure put away come back, too."""

    def objection(row: Row) -> str:
        return not_allowed(row, only_of) if row["deleted_at"] else NOT_IN_BIN

    def move(runs: "QuerySet[Run]") -> None:
        for row in runs.values(*DIRECTORY_COLUMNS):
            erased_files.bring_back(row)
        runs.update(deleted_at=None, delete_reason="")

    return _change(run_ids, objection, move, "Restored", f"taken out of the recycle bin by {by}")


def erase(run_ids: Iterable[str], *, by: User, only_of: User | None) -> Outcomes:
    """Remove runs for good, whether they are in the bin or not: their rows and their files.

    Versions of artifacts that they made stay. Killed in the middle, it is repeated: a run that is not erased yet is
    in the bin. Active runs are refused.
    """
    asked = list(dict.fromkeys(run_ids))
    rows = _rows_called(asked, Run.objects.all())
    outcomes = {run_id: _objection_to_erasing(rows.get(run_id), only_of) for run_id in asked}
    chosen = [rows[run_id]["id"] for run_id in asked if not outcomes[run_id]]
    delete(chosen, by=by, only_of=None)
    erased = _erase(chosen, by)
    free_files()
    missed = {run_id: NOT_ERASED for run_id in asked if not outcomes[run_id] and rows[run_id]["id"] not in erased}
    return outcomes | missed


def empty(*, by: User, only_of: User | None) -> tuple[int, int]:
    """Erase every run of the bin that has ended; how many were erased, and how many are active and stay."""
    runs = Run.objects.deleted()
    if only_of is not None:
        runs = runs.filter(owner=only_of)
    erased = _erase(list(runs.filter(status__in=ENDED).values_list("pk", flat=True)), by)
    free_files()
    return len(erased), runs.active().count()


def free_files() -> None:
    """Most are freed at once; what takes longer is left to the qcluster."""
    if not erased_files.sweep(within_s=SWEEP_S):
        enqueue("training.queue.tasks.free_erased")


def not_allowed(row: Row, only_of: User | None) -> str:
    return NOT_YOURS if only_of is not None and row["owner_id"] != only_of.pk else ""


def _change(
    run_ids: Iterable[str],
    objection: Callable[[Row], str],
    move: Callable[["QuerySet[Run]"], None],
    reason: str,
    message: str,
) -> Outcomes:
    """`move` those of the runs that there is no objection to, each with its event."""
    asked = list(dict.fromkeys(run_ids))
    with transaction.atomic():
        rows = _rows_called(asked, Run.objects.select_for_update(no_key=True))
        outcomes = {run_id: objection(rows[run_id]) if run_id in rows else UNKNOWN for run_id in asked}
        chosen = {rows[run_id]["id"]: rows[run_id]["task_id"] for run_id in asked if not outcomes[run_id]}
        if chosen:
            move(Run.objects.filter(pk__in=chosen))
        Event.objects.bulk_create(
            [Event(reason=reason, message=message, run_id=run_id, task_id=task) for run_id, task in chosen.items()]
        )
    return outcomes


def _rows_called(run_ids: Sequence[str], runs: "QuerySet[Run]") -> dict[str, Row]:
    """By the id that was asked for, which may be another than the run's own."""
    aliases = dict(RunAlias.objects.filter(alias__in=run_ids).values_list("alias", "run_id"))
    names = ("id", "owner_id", "task_id", "status", "deleted_at")
    found = {row["id"]: row for row in runs.filter(pk__in=[*run_ids, *aliases.values()]).order_by("pk").values(*names)}
    return {it: row for it in run_ids if (row := found.get(it) or found.get(aliases.get(it, ""))) is not None}


def _objection_to_erasing(row: Row | None, only_of: User | None) -> str:
    if row is None:
        return UNKNOWN
    return not_allowed(row, only_of) or (ACTIVE_STILL if row["status"] in ACTIVE else "")


def _erase(run_ids: Sequence[str], by: User) -> set[str]:
    """Those of the runs that are in the bin and have ended."""
    erased: set[str] = set()
    for start in range(0, len(run_ids), BLOCK):
        erased |= _erase_block(run_ids[start : start + BLOCK], by)
    return erased


def _erase_block(run_ids: Sequence[str], by: User) -> set[str]:
    """Files are put away first: what is left of a run whose rows are gone would belong to nobody."""
    with transaction.atomic():
        mine = Run.objects.deleted().select_for_update().filter(pk__in=run_ids, status__in=ENDED)
        rows = [row for row in mine.order_by("pk").values(*DIRECTORY_COLUMNS, "task_id") if _is_put_away(row)]
        Run.objects.filter(pk__in=[row["id"] for row in rows]).delete()
        Event.objects.bulk_create([_erasure_of(row, by) for row in rows])
    return {row["id"] for row in rows}


def _is_put_away(row: Row) -> bool:
    try:
        erased_files.put_away(row)
    except OSError as error:
        log.warning("run %s is not erased: its files cannot be moved: %s", row["id"], error)
        return False
    return True


def _erasure_of(row: Row, by: User) -> Event:
    said = f"run {row['id']} ({row['project']}, {row['name'] or 'default'}) was erased by {by}"
    return Event(reason="Erased", message=said, task_id=row["task_id"])
