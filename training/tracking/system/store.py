"""System samples of all runs in a few statements, whatever their number; and how they are read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from django.db import transaction
from django.db.models import F

from training.models import MetricChunk, MetricGroup, Run
from training.models.metrics import SYSTEM_STREAM
from training.tracking.metrics import chunks
from training.tracking.metrics.appending import add, block_of
from training.tracking.metrics.batch import Batch, digest_of
from training.tracking.metrics.groups import Selection, StepRange, groups_of, read_groups
from training.tracking.metrics.table import Table, table_of

# Each sample is a chunk of its own; so many are merged at once, each run in its own turn.
MERGE_EACH = chunks.LOOK_BACK


@dataclass(frozen=True)
class RunSample:
    """`step`: whole seconds since the run began. Values by name; NaN where nothing can be said."""

    run_id: str
    step: int
    time: float
    values: Mapping[str, float]

    def batch(self) -> Batch:
        numbers = {name: np.array([value]) for name, value in self.values.items()}
        steps = np.array([self.step], dtype=np.int64)
        return Batch(steps, np.array([self.time]), numbers, orders=steps)


def store(samples: Sequence[RunSample]) -> None:
    """Only the agent of the node that the runs are on calls this, so nobody else appends to their system stream."""
    if not samples:
        return
    with transaction.atomic():
        batches = [(sample.run_id, sample.batch()) for sample in samples]
        groups = groups_for(batches)
        merging = [group.rows % MERGE_EACH == MERGE_EACH - 1 for group in groups]
        new = []
        for (_, batch), group, is_merged in zip(batches, groups, merging, strict=True):
            block = block_of(batch, {}, 0)
            if is_merged:
                add(group, block)
            else:
                new.append(chunk_of(group, block))
        MetricChunk.objects.bulk_create(new)
        MetricGroup.objects.filter(pk__in=[chunk.group_id for chunk in new]).update(rows=F("rows") + 1)


def groups_for(batches: Sequence[tuple[str, Batch]]) -> list[MetricGroup]:
    """The group of each, made where there is none."""
    keys = [(run_id, digest_of([SYSTEM_STREAM, batch.columns])) for run_id, batch in batches]
    runs = {run_id for run_id, _ in keys}
    rows = MetricGroup.objects.filter(run_id__in=runs, stream=SYSTEM_STREAM).defer("columns")
    known = {(group.run_id, group.digest): group for group in rows}
    new = [
        MetricGroup(run_id=key[0], digest=key[1], columns=batch.columns, stream=SYSTEM_STREAM)
        for key, (_, batch) in zip(keys, batches, strict=True)
        if key not in known
    ]
    if new:
        known |= {(group.run_id, group.digest): group for group in MetricGroup.objects.bulk_create(new)}
    return [known[key] for key in keys]


def chunk_of(group: MetricGroup, block: chunks.Block) -> MetricChunk:
    rows, first, last, is_ascending, steps, times, values, orders = chunks.packed(block)
    return MetricChunk(
        group=group, number=group.rows, rows=rows, first_step=first, last_step=last, is_ascending=is_ascending,
        steps=steps, times=times, values=values, orders=orders,
    )  # fmt: skip


def read_system(run: Run, names: Collection[str] | None = None, step_range: StepRange | None = None) -> Table:
    """As `read_table`, of what the server sampled: steps are whole seconds since the run began."""
    groups = groups_of(run.pk, stream=SYSTEM_STREAM)
    table = table_of(read_groups(run.pk, groups, Selection(None if names is None else set(names), step_range)))
    if step_range is not None:
        table = table.between(*step_range)
    return table if names is None else table.named(names)
