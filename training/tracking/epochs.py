"""Epochs of training sessions, from the records that the trainer writes."""

from typing import Any

from training.models import Run, SessionEpoch, TrainingSession
from training.tracking import spool
from training.tracking.instants import instant

COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy")


def store(run: Run, session: TrainingSession, records: list[spool.Record]) -> None:
    """Write the epochs among `records`, of each the last that was said."""
    said = [data for record in records if (data := epoch_of(record, session)) is not None]
    rows = {
        data["epoch"]: SessionEpoch(session=session, run=run, at=instant(data["ts"]), **values(data)) for data in said
    }
    SessionEpoch.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["session", "epoch"],
        update_fields=["run", "at", *COLUMNS],
    )
    if said:
        TrainingSession.objects.filter(pk=session.pk).update(current_epoch=said[-1]["epoch"])


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
