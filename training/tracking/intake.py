"""What runs write into their spools, taken in: metrics and pictures of every run, the epochs of training sessions."""

from django.db.models import OuterRef, Subquery
from django.utils import timezone

from gpus.models import Node
from training.models import Run, Spool
from training.tracking import epochs, media, metrics, spool
from training.tracking.spool import SpoolFile


def take_in_all(node: Node) -> None:
    """Take in what the runs on `node` have written since. One query when none has news."""
    known = Spool.objects.filter(run=OuterRef("pk"), file=SpoolFile.name).values("offset")
    runs = Run.objects.active().filter(node=node).select_related("task__session").annotate(offset=Subquery(known))
    for run in runs:
        if spool.has_news(SpoolFile(run), getattr(run, "offset", None) or 0):
            take_in(run)


def take_in(run: Run, *, is_over: bool = False, within_s: float = 0) -> bool:
    """Take in new records of a run; True when none is left. Safe in several processes at once.

    `is_over` (it writes no more) and `within_s` as in spool.take_in.
    """
    return spool.take_in(SpoolFile(run), lambda records: store(run, records), is_over=is_over, within_s=within_s)


def store(run: Run, records: list[spool.Record]) -> int:
    """Called in the transaction that notes how far the spool was read; returns how many points came."""
    if run.task is not None and run.task.is_session:
        epochs.store(run, run.task.session, records)
    points = metrics.append(run.pk, metrics.batches_of(records))
    pictures = media.store(run, records)
    if points or pictures:
        Run.objects.filter(pk=run.pk).update(updated_at=timezone.now())
    return points
