"""Records of type `metrics`, as the SDKs write them, as batches: one for each set of names logged together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from training.tracking.metrics.batch import (
    AXIS_NAMES,
    MAX_NAME,
    MAX_WORD,
    Batch,
    Columns,
    Floats,
    Kind,
    Word,
    as_float,
    storable,
)

Data = Mapping[str, Any]
LOWEST_STEP, HIGHEST_STEP = -(2**63), 2**63 - 1
# By the type that JSON gives a value; anything else is no metric.
KINDS = {float: Kind.NUMBER, int: Kind.NUMBER, type(None): Kind.NUMBER, str: Kind.WORD, bool: Kind.WORD}


@dataclass(frozen=True)
class Shape:
    """Where the values of a group stand in data of one signature: the keys that become its columns, in their order."""

    columns: Columns
    numbers: list[str]
    words: list[str]


@dataclass
class Rows:
    """What events of one group said, row by row."""

    orders: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    numbers: list[list[float | None]] = field(default_factory=list)
    words: list[list[Word]] = field(default_factory=list)


def batches_of(records: Iterable[Mapping[str, Any]]) -> list[Batch]:
    """The rows of all `metrics` records, by group; a record without a step, or of another type, is passed over."""
    shapes: dict[tuple[object, ...], Shape] = {}
    groups: dict[Columns, Rows] = {}
    stepped = ((step, data) for data in data_of(records) if (step := step_of(data)) is not None)
    for order, (step, data) in enumerate(stepped):
        signature = (tuple(data), tuple(map(type, data.values())))
        shape = shapes.get(signature) or shapes.setdefault(signature, shape_of(data))
        rows = groups.get(shape.columns) or groups.setdefault(shape.columns, Rows())
        rows.orders.append(order)
        rows.steps.append(step)
        rows.times.append(time_of(data))
        rows.numbers.append([data[name] for name in shape.numbers])
        rows.words.append([data[name] for name in shape.words])
    return [batch_of(columns, rows) for columns, rows in groups.items()]


def data_of(records: Iterable[Mapping[str, Any]]) -> Iterable[Data]:
    for record in records:
        data = record.get("data")
        if record.get("type") == "metrics" and isinstance(data, dict):
            yield data


def step_of(data: Data) -> int | None:
    """`global_step`, else `step`; None when neither is a whole number of 64 bits."""
    for name in ("global_step", "step"):
        step = data.get(name)
        if isinstance(step, float) and step.is_integer():
            step = int(step)
        if isinstance(step, int) and not isinstance(step, bool) and LOWEST_STEP <= step <= HIGHEST_STEP:
            return step
    return None


def time_of(data: Data) -> float:
    """Seconds as they were logged, whatever the clock did; NaN without any."""
    time = data.get("time")
    if isinstance(time, bool) or not isinstance(time, int | float):
        return np.nan
    return as_float(time)


def shape_of(data: Data) -> Shape:
    """Two names that are the same once they are storable are one column, of the later value."""
    keys: dict[str, str] = {}
    for name, value in data.items():
        if name not in AXIS_NAMES and type(value) in KINDS:
            keys[storable(name, MAX_NAME)] = name
    kinds = {stored: KINDS[type(data[name])] for stored, name in keys.items()}
    columns = tuple(sorted(kinds.items()))
    of_kind = {kind: [keys[stored] for stored, its in columns if its == kind] for kind in Kind}
    return Shape(columns, of_kind[Kind.NUMBER], of_kind[Kind.WORD])


def batch_of(columns: Columns, rows: Rows) -> Batch:
    names = {kind: [name for name, its in columns if its == kind] for kind in Kind}
    table = packed(rows.numbers, len(names[Kind.NUMBER]))
    return Batch(
        steps=np.array(rows.steps, dtype=np.int64),
        times=np.array(rows.times, dtype=np.float64),
        numbers=dict(zip(names[Kind.NUMBER], table, strict=True)),
        words={
            name: [stored_word(row[at]) for row in rows.words]
            for at, name in enumerate(names[Kind.WORD])
        },
        orders=np.array(rows.orders, dtype=np.int64),
    )  # fmt: skip


def packed(rows: list[list[float | None]], width: int) -> Floats:
    """(width, n); None is NaN."""
    try:
        table = np.array(rows, dtype=np.float64)
    except OverflowError:
        table = np.array([[None if it is None else as_float(it) for it in row] for row in rows], dtype=np.float64)
    return np.ascontiguousarray(table.reshape(len(rows), width).T)


def stored_word(word: Word) -> Word:
    return storable(word, MAX_WORD) if isinstance(word, str) else word
