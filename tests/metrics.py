"""Points for tests: put into the store, and what a plain reading of the rules makes of them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from django.db import transaction

from training.models import Run
from training.tracking import metrics
from training.tracking.metrics import Batch, Table

Event = Mapping[str, Any]


def log(run: Run, *events: Event) -> int:
    """Append events (`global_step` and values) as one piece of a spool; how many points that were."""
    with transaction.atomic():
        return metrics.append(run.pk, metrics.batches_of([{"type": "metrics", "data": event} for event in events]))


def log_columns(run: Run, steps: Sequence[int] | np.ndarray, **columns: Any) -> int:
    """Append numbers of one group; the times are the steps."""
    steps = np.array(steps, dtype=np.int64)
    numbers = {name: np.array(column, dtype=np.float64) for name, column in columns.items()}
    with transaction.atomic():
        return metrics.append(run.pk, [Batch(steps, steps.astype(np.float64), numbers)])


def expected_rows(events: Sequence[Event]) -> dict[int, dict[str, Any]]:
    """Step -> row, ascending: later events of a step overwrite key by key; what is missing is None."""
    rows: dict[int, dict[str, Any]] = {}
    names = {name for event in events for name in event} - {"global_step"}
    for event in events:
        row = rows.setdefault(event["global_step"], dict.fromkeys(names))
        row.update({name: value for name, value in event.items() if name != "global_step"})
    return {step: rows[step] for step in sorted(rows)}


def rows_of(table: Table) -> dict[int, dict[str, Any]]:
    """A table in the form of `expected_rows`: NaN is None."""
    columns = {"time": table.times, **table.columns}
    said = {name: [plain(value) for value in column.tolist()] for name, column in columns.items()}
    return {step: {name: said[name][at] for name in said} for at, step in enumerate(table.steps.tolist())}


def plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
