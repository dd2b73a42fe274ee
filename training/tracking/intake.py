"""What runs write while they work, taken in: metrics and pictures of every run, the epochs of training sessions."""

import time
from collections import defaultdict
from functools import partial

from django.db.models import OuterRef, Subquery
from django.utils import timezone

from gpus.models import Node
from training.models import Run, Spool
from training.tracking import epochs, media, metric_files, metrics, spool
from training.tracking.importers import adoption
from training.tracking.spool import SpoolFile

# What a look at all runs may take, beside the spools: whoever has waited longest is first.
FILES_WITHIN_S = 0.3


class Intake:
    """What the agent does each second. It remembers how large files were, and forgets runs that have ended."""

    def __init__(self) -> None:
        self.memories: dict[str, metric_files.Memory] = defaultdict(metric_files.Memory)

    def take_in_all(self, node: Node) -> None:
        """Take in what the runs on `node` have written since. One query when none has news."""
        known = Spool.objects.filter(run=OuterRef("pk"), file=SpoolFile.name).values("offset")
        active = Run.objects.active().filter(node=node).select_related("task__session")
        runs = list(active.annotate(offset=Subquery(known)))
        for run in runs:
            if spool.has_news(SpoolFile(run), getattr(run, "offset", None) or 0):
                spool.take_in(SpoolFile(run), partial(store, run))
        for gone in self.memories.keys() - {run.pk for run in runs}:
            del self.memories[gone]
        self.adopt(runs)
        self.take_in_files(runs)

    def adopt(self, runs: list[Run]) -> None:
        """A script may have made a thousand runs, each of which is looked at: the others must not wait for that."""
        deadline = time.monotonic() + FILES_WITHIN_S
        for run in sorted(runs, key=lambda run: self.memories[run.pk].adopted_at):
            self.memories[run.pk].adopted_at = time.monotonic()
            adoption.take_in(run, store)
            if time.monotonic() > deadline:
                return

    def take_in_files(self, runs: list[Run]) -> None:
        deadline = time.monotonic() + FILES_WITHIN_S
        for run in sorted(runs, key=lambda run: self.memories[run.pk].served_at):
            metric_files.take_in(run, self.memories[run.pk])
            if time.monotonic() > deadline:
                return


def take_in_rest(run: Run, *, within_s: float) -> bool:
    """Take in what is left of a run whose processes have ended; False when that takes longer."""
    deadline = time.monotonic() + within_s
    is_all = take_in(run, is_over=True, within_s=within_s)
    return is_all and metric_files.take_in(run, is_over=True, within_s=max(deadline - time.monotonic(), 0))


def take_in(run: Run, *, is_over: bool = False, within_s: float = 0) -> bool:
    """Take in new records of a run and of those it adopted; True when none is left. Safe in several processes at once.

    `is_over` (it writes no more) and `within_s` as in spool.take_in.
    """
    is_done = spool.take_in(SpoolFile(run), partial(store, run), is_over=is_over, within_s=within_s)
    return adoption.take_in(run, store, is_over=is_over, within_s=within_s) and is_done


def store(run: Run, records: list[spool.Record]) -> int:
    """Called in the transaction that notes how far the spool was read; returns how many points came."""
    if run.task is not None and run.task.is_session:
        epochs.store(run, run.task.session, records)
    points = metrics.append(run.pk, metrics.batches_of(records))
    pictures = media.store(run, records)
    if points or pictures:
        Run.objects.filter(pk=run.pk).update(updated_at=timezone.now())
    return points
