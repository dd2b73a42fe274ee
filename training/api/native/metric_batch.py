"""A batch of metrics as it comes in, checked as a whole before anything of it is stored."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from mlserver.errors import Invalid, shown
from training.tracking import metrics, spool
from training.tracking.metrics.batch import AXIS_NAMES, MAX_NAME, MAX_WORD, Batch, Floats, Integers, Word, as_float

MAX_ROWS = 10_000
MAX_SEQ = 2**63 - 2
NUMBERS: frozenset[type] = frozenset({int, float, type(None)})
WORDS: frozenset[type] = frozenset({str, bool, type(None)})


def sequence_number(value: object) -> int:
    """Raises Invalid."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEQ:
        raise Invalid.field("seq", f"{shown(value)} must be the number of the batch, from 0")
    return value


def batch_from(data: Mapping[str, Any]) -> Batch:
    """The rows of a JSON body; raises Invalid."""
    steps = steps_of(data.get("steps"))
    times = times_of(data.get("times"), len(steps))
    values = data.get("values")
    if not isinstance(values, dict) or not values:
        raise Invalid.field("values", f"{shown(values)} must be an object of lists by name")
    numbers: dict[str, Floats] = {}
    words: dict[str, Sequence[Word | None]] = {}
    for name, column in values.items():
        check_name(name)
        kind = kind_of(name, column, len(steps))
        if kind is NUMBERS:
            numbers[name] = floats(column)
        else:
            words[name] = checked_words(name, column)
    if "stage" in data:
        if "stage" in values:
            raise Invalid.field("stage", "it must not be given beside a column of that name")
        words["stage"] = [stage_of(data["stage"])] * len(steps)
    return Batch(steps, times, numbers, words)


def batches_from_lines(body: bytes) -> list[Batch]:
    """The rows of lines of an SDK; lines that are no records, and records without a step, are passed over."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    if len(lines) > MAX_ROWS:
        raise Invalid.field("non_field_errors", f"{len(lines)} lines are too many, a batch has at most {MAX_ROWS}")
    return metrics.batches_of(record for line in lines if (record := spool.parsed(line)) is not None)


def steps_of(value: object) -> Integers:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_ROWS:
        said = f"{len(value)} steps" if isinstance(value, list) else shown(value)
        raise Invalid.field("steps", f"{said} must be a list of 1 to {MAX_ROWS} whole numbers")
    with suppress(OverflowError):
        if set(map(type, value)) == {int}:
            return np.array(value, dtype=np.int64)
    raise Invalid.field("steps", "each must be a whole number of 64 bits")


def times_of(value: object, rows: int) -> Floats:
    if not isinstance(value, list) or len(value) != rows:
        said = f"{len(value)} times" if isinstance(value, list) else shown(value)
        raise Invalid.field("times", f"{said} must be a list of {rows} numbers, one for each step")
    if not set(map(type, value)) <= NUMBERS:
        raise Invalid.field("times", "each must be a number of seconds since 1970, or null")
    return floats(value)


def check_name(name: str) -> None:
    if name in AXIS_NAMES:
        raise Invalid.field("values", f"{shown(name)} is no metric: steps and times stand beside values")
    if not name or len(name) > MAX_NAME or metrics.storable(name, MAX_NAME) != name:
        raise Invalid.field("values", f"{shown(name)} must be a name of 1 to {MAX_NAME} characters")


def kind_of(name: str, column: object, rows: int) -> frozenset[type]:
    """NUMBERS or WORDS."""
    if not isinstance(column, list) or len(column) != rows:
        said = f"{len(column)} values" if isinstance(column, list) else shown(column)
        raise Invalid.field("values", f"{shown(name)}: {said} must be a list of {rows}, one for each step")
    kinds = set(map(type, column))
    for kind in (NUMBERS, WORDS):
        if kinds <= kind:
            return kind
    raise Invalid.field("values", f"{shown(name)} must be numbers, or strings and booleans; null is either")


def checked_words(name: str, column: list[Any]) -> list[Word | None]:
    for word in set(column):
        if isinstance(word, str) and metrics.storable(word, MAX_WORD) != word:
            raise Invalid.field("values", f"{shown(name)}: {shown(word)} must have at most {MAX_WORD} characters")
    return column


def stage_of(value: object) -> str:
    if not isinstance(value, str) or metrics.storable(value, MAX_WORD) != value:
        raise Invalid.field("stage", f"{shown(value)} must be text of at most {MAX_WORD} characters")
    return value


def floats(column: list[Any]) -> Floats:
    try:
        return np.array(column, dtype=np.float64)
    except OverflowError:
        return np.array([None if it is None else as_float(it) for it in column], dtype=np.float64)
