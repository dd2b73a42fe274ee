"""What runs write into their spools, taken in: metrics of every run, and the epochs of training sessions."""

from django.utils import timezone

from gpus.models import Node
from training.models import Run
from training.tracking import epochs, metrics, spool


def take_in_all(node: Node) -> None:
    """Take in what the runs on `node` have written since. One query when none runs."""
    runs = Run.objects.active().filter(node=node).select_related("task__session", "spool")
    for run in runs:
        offset = run.spool.offset if hasattr(run, "spool") else 0
        if spool.has_news(run, offset):
            take_in(run)


def take_in(run: Run, *, is_over: bool = False, within_s: float = 0) -> bool:
    """Take in new records of a run; True when none is left. Safe in several processes at once.

    `is_over` (it writes no more) and `within_s` as in spool.take_in.
    """
    return spool.take_in(run, lambda records: store(run, records), is_over=is_over, within_s=within_s)


def store(run: Run, records: list[spool.Record]) -> None:
    """Called in the transaction that notes how far the spool was read."""
    if run.task is not None and run.task.is_session:
        epochs.store(run, run.task.session, records)
    if metrics.append(run.pk, metrics.batches_of(records)):
        Run.objects.filter(pk=run.pk).update(updated_at=timezone.now())
