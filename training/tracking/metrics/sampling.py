"""Choose the rows that show a run when there are too many to send: MinMaxLTTB over each numeric column.

Van Der Donckt et al., "MinMaxLTTB: Leveraging MinMax-Preselection to Scale LTTB", IEEE VIS 2023.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from tsdownsample import MinMaxLTTBDownsampler

from training.tracking.metrics.batch import Floats, Integers

Places = npt.NDArray[np.int64]
Axis = Floats | Integers
T = TypeVar("T")
# The library panics, with an exception that `except Exception` does not catch, when asked for fewer.
LEAST_POINTS = 3
# Of the mean distance of rows: what those of the same x are set apart.
APART = 1 / 64
# Of the points that are asked for; what is left is not worth looking at all rows again.
ENOUGH = 0.9
_downsampler = MinMaxLTTBDownsampler()  # type: ignore[no-untyped-call]


def sample(x: Axis, columns: Sequence[Floats], points: int) -> Places:
    """Places of the rows to show, ascending: the first, the last, and an equal share for each of the columns.

    x (n,): ascending. columns: (n,) each; what is not finite is never picked for its column. Where columns pick the
    same rows, others are picked from those that remain: of n >= points rows exactly `points` come. Raises ValueError
    for fewer than 2 points.
    """
    if points < 2:
        raise ValueError(f"{points} points are asked for, the first and the last row are 2")
    if len(x) <= points:
        return np.arange(len(x))
    columns = representatives(columns, points - 2)
    if not columns:
        return np.linspace(0, len(x) - 1, points).round().astype(np.int64)
    is_picked = np.zeros(len(x), dtype=bool)
    is_picked[[0, -1]] = True
    inner = distances(x[1:-1])
    for column in columns:
        is_picked[1 + picks(inner, column[1:-1], (points - 2) // len(columns))] = True
    if np.count_nonzero(is_picked) < points * ENOUGH:
        top_up(is_picked, x, columns, points)
    fill(is_picked, points)
    return np.flatnonzero(is_picked)


def representatives(columns: Sequence[T], most: int) -> Sequence[T]:
    """All columns, or evenly spaced ones where there are too many for LEAST_POINTS each."""
    if len(columns) * LEAST_POINTS <= most:
        return columns
    return columns[:: -(-len(columns) // (most // LEAST_POINTS))] if most >= LEAST_POINTS else ()


def picks(axis: Floats | None, column: Floats, most: int) -> Places:
    """At most `most` places where the column is finite, by MinMaxLTTB; axis as `distances` gives it."""
    is_finite = np.isfinite(column)
    if not is_finite.all():
        rows = np.flatnonzero(is_finite)
        x = rows if axis is None else axis[rows]
        return rows[picks(distances(x), column[rows], most)] if len(rows) > most else rows
    if len(column) <= most:
        return np.arange(len(column))
    found = _downsampler.downsample(*(() if axis is None else (axis,)), column, n_out=most)
    places: Places = found.astype(np.int64)
    return places


def distances(x: Axis) -> Floats | None:
    """From the first, in mean distances between rows, and each at least a 64th of one from the next.

    None where all are the same, as of steps without a gap. The library divides the range of x into bins, and panics at
    extreme ranges, and where so many rows have the same x that a bin has no width.
    """
    if x.dtype.kind == "i" and int(x[-1]) - int(x[0]) == len(x) - 1:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        axis: Floats = np.subtract(x, x[0], dtype=np.float64)
    if x.dtype.kind == "f" and not np.isfinite(axis).all() or axis[-1] <= 0:
        return None
    axis /= axis[-1]
    axis *= len(axis) * (1 - APART)
    axis += np.arange(len(axis)) * APART
    return axis


def top_up(is_picked: npt.NDArray[np.bool_], x: Axis, columns: Sequence[Floats], points: int) -> None:
    """One column after the other picks among the rows that no column has picked yet."""
    for behind, column in enumerate(columns):
        left = points - int(np.count_nonzero(is_picked))
        share = left // (len(columns) - behind)
        if share >= LEAST_POINTS:
            rows = np.flatnonzero(~is_picked)
            is_picked[rows[picks(distances(x[rows]), column[rows], share)]] = True


def fill(is_picked: npt.NDArray[np.bool_], points: int) -> None:
    """Evenly spaced rows for what the columns left."""
    picked = np.flatnonzero(is_picked)
    left, free = points - len(picked), len(is_picked) - len(picked)
    if left > 0:
        chosen = np.linspace(0, free - 1, left).astype(np.int64)  # among the free rows, which are too many to number
        free_before = picked - np.arange(len(picked))
        is_picked[chosen + np.searchsorted(free_before, chosen, side="right")] = True
