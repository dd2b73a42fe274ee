"""R50: the numbers of a run, as a list of points for each metric."""

from collections.abc import Iterator

import numpy as np
import orjson

from training.api.runicorn.row_text import joined, json_rows, rows_at_once
from training.tracking.metrics import RunRows
from training.tracking.metrics.batch import Floats
from training.tracking.metrics.sampling import Places
from training.tracking.metrics.table import Column

FIELDS = ("step", "value", "timestamp")


def series_text(rows: RunRows, limit: int | None, *, is_asked: bool) -> Iterator[bytes]:
    """A JSON object: the points of each column by ascending step, the last `limit` of them.

    Columns without a number are left out, unless they are asked for: then they have no points.
    """
    before = b"{"
    for name, values in numbers_of(rows):
        places = np.flatnonzero(np.isfinite(values))[-limit if limit else 0 :]
        if not len(places) and not is_asked:
            continue
        yield before + orjson.dumps(name) + b":["
        yield from joined(points_text(rows, values, places))
        before = b"],"
    yield b"]}" if before != b"{" else b"{}"


def numbers_of(rows: RunRows) -> Iterator[tuple[str, Floats]]:
    """Each column as numbers (n,), NaN where none was logged; a column may hold words beside them."""
    numeric = iter(rows.columns(rows.numeric, None))
    are_numeric = set(rows.numeric)
    for name in rows.names:
        yield name, next(numeric) if name in are_numeric else numbers_among(rows.column(name))


def numbers_among(column: Column) -> Floats:
    if column.dtype != object:
        return column.astype(np.float64, copy=False)
    return np.array([value if isinstance(value, float) else np.nan for value in column.tolist()], dtype=np.float64)


def points_text(rows: RunRows, values: Floats, places: Places) -> Iterator[bytes]:
    at_once = rows_at_once(len(FIELDS))
    for begin in range(0, len(places), at_once):
        part = places[begin : begin + at_once]
        yield json_rows(list(zip(FIELDS, (rows.steps[part], values[part], rows.times[part]), strict=True)))
