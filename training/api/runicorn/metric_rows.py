"""R7, R8, R20: which rows of a run are shown, in which order, and as what text."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.http.response import HttpResponseBase

from mlserver.api.rendering import to_json
from mlserver.api.text_answers import text_answer
from training.api.runicorn.row_text import CELLS, Columns, joined, json_rows, rows_at_once
from training.tracking.metrics import RunRows, sampled
from training.tracking.metrics.batch import Floats
from training.tracking.metrics.sampling import Places

STEP, TIME = "global_step", "time"
# With fewer cells the answer is one piece, and says its length.
SHORT_CELLS = 8 * CELLS


@dataclass(frozen=True)
class Shown:
    """Rows of a run. columns: names of all columns in their order; places: None for all rows, in the order of steps.

    times (shown rows,): what stands under `time` instead of what was logged.
    """

    rows: RunRows
    columns: list[str]
    places: Places | None = None
    times: Floats | None = None

    def __len__(self) -> int:
        return len(self.rows.steps) if self.places is None else len(self.places)

    @property
    def total(self) -> int:
        return len(self.rows.steps)

    @property
    def is_short(self) -> bool:
        return len(self) * len(self.columns) <= SHORT_CELLS

    @property
    def last_step(self) -> int | None:
        if not len(self):
            return None
        return int(self.rows.steps[-1 if self.places is None else self.places[-1]])

    def pieces(self) -> Iterator[Columns]:
        """All rows, some at a time."""
        at = 0
        for table in self.rows.pieces(self.places, rows_at_once(len(self.columns))):
            times = table.times if self.times is None else self.times[at : at + len(table)]
            at += len(table)
            known: Mapping[str, Any] = {**table.columns, STEP: table.steps, TIME: times}
            yield [(name, known[name]) for name in self.columns]


def by_step(rows: RunRows, points: int | None) -> Shown:
    """R8: ascending steps; of more than `points` rows those that show each column best."""
    names = rows.names if np.isnan(rows.times).all() else [*rows.names, TIME]
    return Shown(rows, [STEP, *sorted(names)] if len(rows.steps) else [], _places(rows, points))


def of_names(rows: RunRows, points: int | None) -> Shown:
    """R20 with names: these columns, in the order they were asked for."""
    return Shown(rows, [STEP, *rows.names], _places(rows, points))


def by_time(rows: RunRows, points: int | None) -> Shown:
    """R7: ascending time, in seconds since the first row."""
    if not len(rows.steps):
        return Shown(rows, [])
    order, times = relative_times(rows.times)
    columns = [TIME, STEP, *sorted(rows.names)]
    if points is None or len(times) <= points:
        return Shown(rows, columns, order, times)
    chosen = sampled(rows, times, points, order)
    return Shown(rows, columns, chosen if order is None else order[chosen], times[chosen])


def relative_times(times: Floats) -> tuple[Places | None, Floats]:
    """The order of rows (None: as they are) and, in that order, the seconds since the first; times (n,), n > 0.

    A row without time takes that of the row before it; before the first that has one it is 0.
    """
    is_known = np.isfinite(times)
    if not is_known.any():
        return None, np.zeros(len(times))
    if not is_known.all():
        last = np.maximum.accumulate(np.where(is_known, np.arange(len(times)), -1))
        times = np.where(last >= 0, times[last], times[is_known].min())
    if np.all(times[1:] >= times[:-1]):
        return None, times - times[0]
    order = np.argsort(times, kind="stable").astype(np.int64)
    return order, times[order] - times[order[0]]


def answer(shown: Shown, before: Mapping[str, object], after: Mapping[str, object]) -> HttpResponseBase:
    """An object with the members `before`, the rows under `rows`, and the members `after`."""
    return text_answer(text_of(shown, before, after), "application/json", is_short=shown.is_short)


def text_of(shown: Shown, before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[bytes]:
    yield to_json(before)[:-1] + b',"rows":['
    yield from joined(map(json_rows, shown.pieces()))
    yield b"]," + to_json(after)[1:]


def _places(rows: RunRows, points: int | None) -> Places | None:
    return None if points is None or len(rows.steps) <= points else sampled(rows, rows.steps, points)
