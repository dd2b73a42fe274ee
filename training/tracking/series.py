"""Summary rows of series: what lists show instead of points."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db import connection

from training.models import Series
from training.tracking.metrics.batch import Batch

# One statement for new and known names, so thousands of names cost no more reading than one.
UPSERT = f"""
    INSERT INTO {Series._meta.db_table} AS known
        ("run_id", "name", "count", "first", "last", "min", "max", "latest_step")
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT ("run_id", "name") DO UPDATE SET
        "first" = CASE WHEN known."count" = 0 THEN excluded."first" ELSE known."first" END,
        "count" = known."count" + excluded."count",
        "last" = excluded."last",
        "min" = CASE WHEN known."min" IS NULL OR excluded."min" < known."min" THEN excluded."min" ELSE known."min" END,
        "max" = CASE WHEN known."max" IS NULL OR excluded."max" > known."max" THEN excluded."max" ELSE known."max" END,
        "latest_step" = excluded."latest_step"
"""


@dataclass
class Summary:
    """Of one name in what is appended; a number that is not finite counts, and leaves least and greatest alone."""

    count: int
    first: float
    last: float
    min: float
    max: float
    latest_step: int
    # Places of its first and last row among those that are appended.
    begin: int
    end: int

    def with_other(self, other: "Summary") -> "Summary":
        """Of the same name in another group."""
        earlier = self if self.begin <= other.begin else other
        later = self if self.end >= other.end else other
        return Summary(
            self.count + other.count, earlier.first, later.last, min(self.min, other.min), max(self.max, other.max),
            later.latest_step, earlier.begin, later.end,
        )  # fmt: skip

    def row(self) -> tuple[int | float | None, ...]:
        numbers = (self.first, self.last, self.min, self.max)
        return (self.count, *(number if math.isfinite(number) else None for number in numbers), self.latest_step)


def fold(run_id: str, batches: Sequence[Batch]) -> None:
    """Take the numbers of `batches` into the summaries of the run, in one statement. Booleans and words have none.

    Call it in the transaction that makes sure the batches come once.
    """
    found: dict[str, Summary] = {}
    begin = 0
    for batch in batches:
        for name, summary in summaries_of(batch, begin):
            found[name] = found[name].with_other(summary) if name in found else summary
        begin += len(batch)
    if found:
        with connection.cursor() as cursor:
            # By name: two transactions that take rows in the same order never wait for each other.
            cursor.executemany(UPSERT, [(run_id, name, *found[name].row()) for name in sorted(found)])


def summaries_of(batch: Batch, begin: int) -> list[tuple[str, Summary]]:
    """`begin`: place of its first row, of a batch that does not say."""
    if not batch.numbers:
        return []
    values = np.array(list(batch.numbers.values()))
    is_finite = np.isfinite(values)
    least = np.where(is_finite, values, np.inf).min(axis=1).tolist()
    greatest = np.where(is_finite, values, -np.inf).max(axis=1).tolist()
    ends = (begin, begin + len(batch) - 1) if batch.orders is None else (int(batch.orders[0]), int(batch.orders[-1]))
    first, last, step = values[:, 0].tolist(), values[:, -1].tolist(), int(batch.steps[-1])
    columns = zip(batch.numbers, first, last, least, greatest, strict=True)
    return [(name, Summary(len(batch), a, z, low, high, step, *ends)) for name, a, z, low, high in columns]
