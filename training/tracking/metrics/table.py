"""Tables: what a run logged, one row per step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.tracking.metrics.batch import Floats, Integers
from training.tracking.metrics.words import Objects

Column = Floats | Objects
# What a pointer and its share of a word take.
OBJECT_BYTES = 16


@dataclass(frozen=True)
class Table:
    """One row per step: steps (n,) int64, ascending and unique; times (n,) float64, NaN where none was said.

    columns: name -> (n,) float64, NaN and infinity as they were logged; or, of a name that was a word once, (n,)
    objects: words, numbers and None. Arrays may be shared with the cache: never write to them.
    """

    steps: Integers
    times: Floats
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def size_bytes(self) -> int:
        columns = sum(it.nbytes if it.dtype != object else len(it) * OBJECT_BYTES for it in self.columns.values())
        return self.steps.nbytes + self.times.nbytes + columns

    def numeric(self) -> dict[str, Floats]:
        """The columns that hold nothing but numbers."""
        return {name: it for name, it in self.columns.items() if it.dtype != object}  # type: ignore[misc]

    def taken(self, rows: npt.NDArray[np.int64] | slice) -> "Table":
        return Table(self.steps[rows], self.times[rows], {name: it[rows] for name, it in self.columns.items()})

    def named(self, names: Iterable[str]) -> "Table":
        """These columns; a name that was never logged is all NaN."""
        names = list(names)
        known = dict(self.columns)
        if missing := set(names) - known.keys():
            known |= dict.fromkeys(missing, np.full(len(self), np.nan))
        return Table(self.steps, self.times, {name: known[name] for name in names})

    def between(self, first: int, last: int) -> "Table":
        """Rows of the steps `first` to `last`, both included."""
        return self.taken(slice(np.searchsorted(self.steps, first), np.searchsorted(self.steps, last, side="right")))


@dataclass(frozen=True)
class Rows:
    """Rows of one group as they were said; every column is in each row.

    numbers (n,): which row of the run each was, None where they are all there is.
    """

    steps: Integers
    times: Floats
    columns: Mapping[str, Column]
    numbers: Integers | None
    is_ascending: bool = False

    @property
    def orders(self) -> Integers:
        """(n,): by which it is told what was said later."""
        return np.arange(len(self.steps)) if self.numbers is None else self.numbers


EMPTY = Table(np.empty(0, np.int64), np.empty(0), {})


def table_of(groups: Sequence[Rows]) -> Table:
    """Rows of the same step become one: of each column the one that was said last."""
    groups = [it for it in groups if len(it.steps)]
    if not groups:
        return EMPTY
    if len(groups) == 1:
        (rows,) = groups
        if rows.is_ascending:
            return Table(rows.steps, rows.times, rows.columns)
    return merged(groups)


def extended(table: Table, groups: Sequence[Rows]) -> Table:
    """`table` with rows that were said after all of its own."""
    groups = [it for it in groups if len(it.steps)]
    if len(groups) == 1 and not len(table):
        return table_of(groups)
    if len(groups) == 1 and is_behind(table, groups[0]):
        (rows,) = groups
        columns = {name: concatenated(it, rows.columns[name]) for name, it in table.columns.items()}
        return Table(np.concatenate([table.steps, rows.steps]), np.concatenate([table.times, rows.times]), columns)
    before: Integers = np.full(len(table), -1, dtype=np.int64)
    return merged([Rows(table.steps, table.times, table.columns, before, True), *groups])


def is_behind(table: Table, rows: Rows) -> bool:
    return rows.is_ascending and rows.columns.keys() == table.columns.keys() and rows.steps[0] > table.steps[-1]


def concatenated(left: Column, right: Column) -> Column:
    if left.dtype != right.dtype:
        left, right = as_objects(left), as_objects(right)
    both: Column = np.concatenate([left, right])
    return both


def merged(groups: Sequence[Rows]) -> Table:
    steps = np.unique(np.concatenate([it.steps for it in groups]))
    time = Overlay(len(steps), is_object=False)
    objects = {name for it in groups for name, column in it.columns.items() if column.dtype == object}
    columns: dict[str, Overlay] = {}
    for group in groups:
        said, has_time = group.orders, np.flatnonzero(~np.isnan(group.times))
        rows = has_time[last_of_each(group.steps[has_time])]
        time.put(np.searchsorted(steps, group.steps[rows]), said[rows], group.times[rows])
        rows = last_of_each(group.steps)
        places, orders = np.searchsorted(steps, group.steps[rows]), said[rows]
        for name, column in group.columns.items():
            if name not in columns:
                columns[name] = Overlay(len(steps), is_object=name in objects)
            columns[name].put(places, orders, column[rows])
    times: Floats = time.values.astype(np.float64, copy=False)
    return Table(steps, times, {name: it.values for name, it in columns.items()})


def last_of_each(steps: Integers) -> npt.NDArray[np.int64]:
    """The rows that are the last of their step, by step."""
    if np.all(steps[1:] > steps[:-1]):
        return np.arange(len(steps))
    _, rows = np.unique(steps[::-1], return_index=True)  # the first of equal ones, so the last from behind
    found: npt.NDArray[np.int64] = len(steps) - 1 - rows
    return found


class Overlay:
    """A column that is filled from several groups: where two have a row, the one that was said later counts."""

    def __init__(self, count: int, *, is_object: bool) -> None:
        self.values: Column = np.full(count, None) if is_object else np.full(count, np.nan)
        # Most columns are of one group alone, and are never asked which row came when.
        self._put: list[tuple[npt.NDArray[np.int64], Integers]] = []

    def put(self, places: npt.NDArray[np.int64], orders: Integers, values: Column) -> None:
        """`places` (m,) are unique."""
        if self.values.dtype == object:
            values = as_objects(values)
        if self._put:
            is_later = orders > self._orders()[places]
            places, orders, values = places[is_later], orders[is_later], values[is_later]
        self.values[places] = values
        self._put.append((places, orders))

    def _orders(self) -> Integers:
        """Of the row that each value is from; where there is none, lower than any."""
        orders = np.full(len(self.values), -2, dtype=np.int64)
        for places, said in self._put:
            orders[places] = said
        return orders


def as_objects(values: Column) -> Objects:
    """Numbers beside words: NaN becomes None, as of a word that is missing."""
    if values.dtype == object:
        return values.astype(object, copy=False)
    found: Objects = values.astype(object)
    found[np.isnan(values.astype(np.float64))] = None
    return found
