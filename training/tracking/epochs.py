"""Epochs of training sessions, from the records that the trainer writes."""

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from gpus.models import Node
from mlserver.text import is_storable
from training.models import Run, SessionEpoch, TrainingSession
from training.tracking import series, spool

COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy")
# Of a record's data: where it belongs, not what was measured.
NOT_MEASURED = {"epoch", "global_step", "time", "stage", "ts"}
NAMES_PER_EPOCH = 100


def take_in_all(node: Node) -> None:
    """Take in what the sessions that run on `node` have written since. One query when none runs."""
    runs = Run.objects.active().filter(node=node, task__is_session=True).select_related("task__session", "spool")
    for run in runs:
        offset = run.spool.offset if hasattr(run, "spool") else 0
        if spool.has_news(run, offset):
            take_in(run)


def take_in(run: Run, *, is_over: bool = False, within_s: float = 0) -> bool:
    """Take in new records of a session's run; True when none is left. Safe in several processes at once."""
    assert run.task is not None
    session = run.task.session
    return spool.take_in(run, lambda records: store(run, session, records), is_over=is_over, within_s=within_s)


def store(run: Run, session: TrainingSession, records: list[spool.Record]) -> None:
    """Write the epochs among `records`, of each the last that was said, and fold their numbers into the series."""
    said = [data for record in records if (data := epoch_of(record, session)) is not None]
    rows = {data["epoch"]: SessionEpoch(session=session, run=run, at=instant(data), **values(data)) for data in said}
    SessionEpoch.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["session", "epoch"],
        update_fields=["run", "at", *COLUMNS],
    )
    if said:
        TrainingSession.objects.filter(pk=session.pk).update(current_epoch=said[-1]["epoch"])
        series.fold(run.pk, [(step_of(data), measured(data)) for data in said])


def epoch_of(record: spool.Record, session: TrainingSession) -> dict[str, Any] | None:
    """The data of a record about one epoch, None for any other."""
    data = record.get("data")
    if record.get("type") != "metrics" or not isinstance(data, dict):
        return None
    epoch = data.get("epoch")
    is_epoch = isinstance(epoch, int) and not isinstance(epoch, bool) and 1 <= epoch <= session.epochs
    return {**data, "ts": record.get("ts")} if is_epoch else None


def values(data: dict[str, Any]) -> dict[str, Any]:
    return {"epoch": data["epoch"], **{name: spool.number(data.get(name)) for name in COLUMNS}}


def measured(data: dict[str, Any]) -> dict[str, float | None]:
    """Numbers by name, at most NAMES_PER_EPOCH: the trainer has six."""
    names = [name for name, value in data.items() if isinstance(value, int | float) and is_storable(name)]
    chosen = [name for name in names if name not in NOT_MEASURED][:NAMES_PER_EPOCH]
    return {name: spool.number(data[name]) for name in chosen}


def step_of(data: dict[str, Any]) -> int:
    step = data.get("global_step")
    if isinstance(step, int) and not isinstance(step, bool) and 0 <= step < 2**63:
        return step
    return int(data["epoch"])


def instant(data: dict[str, Any]) -> datetime:
    """When the job says it was; now when it says nothing that can be."""
    at = spool.number(data["ts"])
    try:
        return datetime.fromtimestamp(at, UTC) if at is not None else timezone.now()
    except (OverflowError, ValueError, OSError):
        return timezone.now()
