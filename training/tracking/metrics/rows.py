"""The rows of a run for those who show them all: of a run too large for the cache, a part is in memory at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, overload

import numpy as np

from training.models import Run
from training.tracking.metrics.batch import Floats, Integers, Kind
from training.tracking.metrics.chunks import VALUE_BYTES
from training.tracking.metrics.groups import Group, Selection, StepRange, groups_of, read_groups
from training.tracking.metrics.sampling import Axis, Places, representatives, sample
from training.tracking.metrics.table import Column, Table, table_of
from training.tracking.metrics.table_cache import cache

# What is read at once of a run that is not kept.
LOAD_BYTES = 8 * 1024**2


class RunRows(Protocol):
    """One row per step, ascending; what is logged meanwhile is not seen. For one reader at a time, in any thread.

    names: the columns, in the order to show them; numeric: those of them that hold nothing but numbers. steps (n,)
    int64, times (n,) float64 with NaN where none was said. Arrays may belong to the cache: never write to them.
    """

    @property
    def names(self) -> list[str]: ...

    @property
    def numeric(self) -> list[str]: ...

    @property
    def steps(self) -> Integers: ...

    @property
    def times(self) -> Floats: ...

    def columns(self, names: Sequence[str], order: Places | None) -> Sequence[Floats]:
        """(n,) each, of names that are numeric; with `order` their values are taken in it."""

    def column(self, name: str) -> Column:
        """(n,), of any kind."""

    def pieces(self, places: Places | None, size: int) -> Iterator[Table]:
        """Tables of at most `size` rows: those at `places` in their order, or all."""


def open_rows(run: Run, names: list[str] | None = None, step_range: StepRange | None = None) -> RunRows:
    """What `run` logged; `names` (None: all, sorted) and `step_range` (both ends) say of what.

    A name that was never logged is a column of NaN, and not numeric.
    """
    table = cache.get(run.pk)
    if table is None:
        return StoredRows(run.pk, groups_of(run.pk), names, step_range)
    if step_range is not None:
        table = table.between(*step_range)
    numbers = table.numeric()
    names = sorted(table.columns) if names is None else names
    return KeptRows(names, [name for name in names if name in numbers], table.named(names))


def sampled(rows: RunRows, x: Axis, points: int, order: Places | None = None) -> Places:
    """As `sample`, over the numeric columns; x (n,) and the places are in `order`."""
    names = representatives(rows.numeric, points - 2)
    return sample(x, rows.columns(names, order), points)


@dataclass(frozen=True)
class KeptRows:
    """Of a run whose table is in memory."""

    names: list[str]
    numeric: list[str]
    table: Table

    @property
    def steps(self) -> Integers:
        return self.table.steps

    @property
    def times(self) -> Floats:
        return self.table.times

    def columns(self, names: Sequence[str], order: Places | None) -> Sequence[Floats]:
        numbers = self.table.numeric()
        return [numbers[name] if order is None else numbers[name][order] for name in names]

    def column(self, name: str) -> Column:
        return self.table.columns[name]

    def pieces(self, places: Places | None, size: int) -> Iterator[Table]:
        for at in range(0, len(self.steps) if places is None else len(places), size):
            yield self.table.taken(slice(at, at + size) if places is None else places[at : at + size])


class StoredRows:
    """Of a run that is read from the database, as often as it is looked at."""

    def __init__(self, run_id: str, groups: list[Group], names: list[str] | None, step_range: StepRange | None) -> None:
        kinds: dict[str, set[str]] = {}
        for name, kind in (column for group in groups for column in group.columns):
            kinds.setdefault(name, set()).add(kind)
        self.names = sorted(kinds) if names is None else names
        self.numeric = [name for name in self.names if kinds.get(name) == {Kind.NUMBER}]
        self._run_id = run_id
        self._groups = groups
        self._step_range = step_range

    @cached_property
    def _axis(self) -> Table:
        axis = table_of(read_groups(self._run_id, self._groups, Selection((), self._step_range)))
        return axis if self._step_range is None else axis.between(*self._step_range)

    @property
    def steps(self) -> Integers:
        return self._axis.steps

    @property
    def times(self) -> Floats:
        return self._axis.times

    def columns(self, names: Sequence[str], order: Places | None) -> Sequence[Floats]:
        return StoredColumns(self, names, order)

    def column(self, name: str) -> Column:
        return self.load([name]).columns[name]

    def pieces(self, places: Places | None, size: int) -> Iterator[Table]:
        loaded = max(1, LOAD_BYTES // (VALUE_BYTES * (2 + len(self.names))))
        for begin in range(0, len(self.steps) if places is None else len(places), loaded):
            part = slice(begin, begin + loaded)
            table = self.load(self.names, part if places is None else places[part])
            for at in range(0, len(table), size):
                yield table.taken(slice(at, at + size))

    def load(self, names: Sequence[str], places: Places | slice = slice(None)) -> Table:
        """The rows at `places`, of these columns."""
        steps = self.steps[places]
        if not len(steps):
            return self._axis.named(names)
        selection = Selection(frozenset(names), (int(steps.min()), int(steps.max())))
        table = table_of(read_groups(self._run_id, self._groups, selection))
        if len(table) > len(steps) or not isinstance(places, slice):
            table = table.taken(np.searchsorted(table.steps, steps))
        return table.named(names)


class StoredColumns(Sequence[Floats]):
    """Columns that are read some at a time when they are asked for; going through them in their order is cheapest."""

    def __init__(self, rows: StoredRows, names: Sequence[str], order: Places | None) -> None:
        self._rows = rows
        self._names = names
        self._order = order
        self._at_once = max(1, LOAD_BYTES // (VALUE_BYTES * max(1, len(rows.steps))))
        self._begin, self._loaded = 0, list[Floats]()

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, at: int) -> Floats: ...

    @overload
    def __getitem__(self, at: slice) -> "StoredColumns": ...

    def __getitem__(self, at: int | slice) -> "Floats | StoredColumns":
        if isinstance(at, slice):
            return StoredColumns(self._rows, self._names[at], self._order)
        if not 0 <= at < len(self._names):
            raise IndexError(at)
        if not self._begin <= at < self._begin + len(self._loaded):
            self._load(at - at % self._at_once)
        return self._loaded[at - self._begin]

    def _load(self, begin: int) -> None:
        self._loaded = []  # gives its memory back before more is read
        names = self._names[begin : begin + self._at_once]
        numbers = self._rows.load(names).numeric()
        order = slice(None) if self._order is None else self._order
        self._begin, self._loaded = begin, [numbers[name][order] for name in names]
