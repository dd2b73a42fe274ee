"""Summary rows of series: what lists show instead of points."""

from collections.abc import Iterable, Mapping

from training.models import Series

COLUMNS = ("count", "first", "last", "min", "max", "latest_step")
Step = tuple[int, Mapping[str, float | None]]


def fold(run_id: str, steps: Iterable[Step]) -> None:
    """Take (step, {name: value}) in the order they were said into the summaries of the run; at most three statements.

    None is a number that was not finite: it counts, and leaves least and greatest alone. Call it in the transaction
    that makes sure the steps come once.
    """
    steps = list(steps)
    names = {name[:255] for _, values in steps for name in values}
    known = {row.name: row for row in Series.objects.filter(run_id=run_id, name__in=names)}
    rows = dict(known)
    for step, values in steps:
        for name, value in values.items():
            add(rows.setdefault(name[:255], Series(run_id=run_id, name=name[:255])), step, value)
    Series.objects.bulk_create(row for name, row in rows.items() if name not in known)
    Series.objects.bulk_update(known.values(), COLUMNS)


def add(row: Series, step: int, value: float | None) -> None:
    if row.count == 0:
        row.first = value
    row.count += 1
    row.last, row.latest_step = value, step
    if value is not None:
        row.min = value if row.min is None else min(row.min, value)
        row.max = value if row.max is None else max(row.max, value)
