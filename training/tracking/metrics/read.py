"""Read what a run logged: by way of the cache, or some columns and steps of what is too large for it."""

from collections.abc import Collection

from training.models import Run
from training.tracking.metrics.events import HIGHEST_STEP, LOWEST_STEP
from training.tracking.metrics.groups import Selection, StepRange, groups_of, read_groups
from training.tracking.metrics.table import Table, table_of
from training.tracking.metrics.table_cache import cache

ALL_STEPS = (LOWEST_STEP, HIGHEST_STEP)


def read_table(run: Run, names: Collection[str] | None = None, step_range: StepRange | None = None) -> Table:
    """What `run` logged, one row per step it logged anything at; `names` and `step_range` (both ends) say of what.

    A name that was never logged is a column of NaN. The arrays may belong to the cache: never write to them.
    """
    table = cache.get(run.pk)
    if table is None:
        some_steps = None if step_range == ALL_STEPS else step_range
        selection = Selection(None if names is None else set(names), some_steps)
        table = table_of(read_groups(run.pk, groups_of(run.pk), selection))
    if step_range is not None:
        table = table.between(*step_range)
    return table if names is None else table.named(names)
