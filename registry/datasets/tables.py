"""Samples in CSV files: what the columns are, and their cells as numbers. Read row by row, twice for training."""

from __future__ import annotations

import csv
import io
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from registry.datasets.facts import Facts, Unreadable
from registry.datasets.headers import Shape, is_missing, malformed, shape_of
from registry.datasets.labels import Labels, LabelSurvey
from registry.datasets.streams import GuardedStream, Opener

if TYPE_CHECKING:
    import numpy as np

Rows = list[list[str]]

MAX_CATEGORIES = 50
"""A text column of up to so many different values becomes one feature a value; another is left out."""
_SAMPLE_CHARACTERS = 1 << 20
_MAX_LINE_CHARACTERS = 16 << 20
_BATCH_CELLS = 5000
"""So few that the processor's cache holds them: larger batches take almost twice the time."""


@dataclass
class Column:
    """A column of features: numbers, or text of few different values, or nothing to train on."""

    is_number: bool = True
    has_value: bool = False
    categories: set[str] = field(default_factory=set)

    def add(self, cells: tuple[str, ...]) -> None:
        if len(self.categories) <= MAX_CATEGORIES:
            self.categories.update(map(str.strip, cells))
        if not self.is_number:
            return
        try:
            deque(map(float, cells), maxlen=0)
            self.has_value = True
        except ValueError:
            known = [cell for cell in cells if not is_missing(cell)]
            self.has_value = self.has_value or bool(known)
            self.is_number = _are_numbers(known)

    @property
    def values(self) -> list[str] | None:
        """The sorted texts that get a feature each; empty when the column is left out; None for numbers."""
        if self.is_number:
            return None if self.has_value else []
        known = sorted(value for value in self.categories if not is_missing(value))
        return known if len(self.categories) <= MAX_CATEGORIES else []


@dataclass(frozen=True)
class Table:
    """A surveyed CSV file. `columns` maps a column's index to its categories, None for numbers."""

    open: Opener
    shape: Shape
    facts: Facts
    labels: Labels | None
    columns: dict[int, list[str] | None]

    dtype = "float32"

    def fill(self, inputs: np.ndarray, labels: np.ndarray, *, as_numbers: bool) -> None:
        """Write all samples: `inputs` (n, features) float32, `labels` (n,) as Labels.encoded() gives them."""
        import numpy as np

        assert self.labels is not None
        row = 0
        with self.open() as file, np.errstate(over="ignore"):
            for rows in _batches(file, self.shape):
                cells = list(zip(*rows, strict=True))
                end = row + len(rows)
                if end > len(inputs):
                    raise Unreadable("the CSV file grew while it was read")
                self._fill_features(inputs[row:end], cells)
                labels[row:end] = self.labels.encoded(self._label_values(cells), as_numbers=as_numbers)
                row = end
        if row != len(inputs):
            raise Unreadable("the CSV file shrank while it was read")

    def _fill_features(self, block: np.ndarray, cells: list[tuple[str, ...]]) -> None:
        at = 0
        for index, categories in self.columns.items():
            if categories is None:
                block[:, at] = _floats(cells[index])
                at += 1
                continue
            for category in categories:
                block[:, at] = [cell.strip() == category for cell in cells[index]]
                at += 1

    def _label_values(self, cells: list[tuple[str, ...]]) -> list[str] | list[float]:
        assert self.labels is not None
        column = cells[self.shape.target]
        if self.labels.values and isinstance(self.labels.values[0], str):
            return [cell.strip() for cell in column]
        return list(map(float, column))


def survey(opener: Opener) -> Table:
    """Read the whole file once and say what it holds; raises Unreadable for text, quotes or rows that do not fit."""
    with opener() as file:
        shape = shape_of(_sample(file))
    columns = {index: Column() for index in range(shape.column_count) if index != shape.target}
    if shape.has_header and shape.target != 0 and not shape.names[0]:
        del columns[0]  # the row numbers of a data frame that was saved with them
    survey, count = LabelSurvey(), 0
    with opener() as file:
        for rows in _batches(file, shape):
            cells = list(zip(*rows, strict=True))
            for index, column in columns.items():
                column.add(cells[index])
            _add_labels(survey, cells[shape.target], count)
            count += len(rows)
    used = {index: values for index, column in columns.items() if (values := column.values) != []}
    labels, facts = _facts(shape, count, used, survey)
    return Table(opener, shape, facts, labels, used)


def _facts(
    shape: Shape, count: int, used: dict[int, list[str] | None], survey: LabelSurvey
) -> tuple[Labels | None, Facts]:
    dimensions = str(shape.column_count)
    width = sum(1 if values is None else len(values) for values in used.values())
    labels, reason = survey.result()
    if count < 2:
        reason = "there are fewer than two samples"
    elif shape.column_count == 1:
        reason = "there is one column only: samples need features and a label"
    elif not width:
        reason = f"no column besides the target holds numbers, or text of at most {MAX_CATEGORIES} different values"
    if reason or labels is None:
        return None, Facts(format="csv", sample_count=count, dimensions=dimensions, untrainable_reason=reason)
    return labels, Facts(
        format="csv",
        sample_count=count,
        dimensions=dimensions,
        input_shape=(width,),
        target=labels.target,
        class_count=labels.class_count,
    )


def _add_labels(survey: LabelSurvey, cells: tuple[str, ...], first_row: int) -> None:
    cells = tuple(map(str.strip, cells))
    survey.add_texts(cells)
    if not survey.is_text:
        try:
            return survey.add_numbers(map(float, cells), first_row=first_row)
        except ValueError:
            survey.is_text = not _are_numbers([cell for cell in cells if not is_missing(cell)])
    missing = next((row for row, cell in enumerate(cells, first_row + 1) if is_missing(cell)), None)
    if missing is not None and not survey.fault:
        survey.fault = f"sample {missing} has no label"
    return None


def _batches(file: GuardedStream, shape: Shape) -> Iterator[Rows]:
    """The rows below the header in lists of bounded size; blank lines are no rows."""
    text = _text(file)
    # A line that is longer comes in pieces, whose numbers of cells then do not fit.
    reader = csv.reader(iter(partial(text.readline, _MAX_LINE_CHARACTERS), ""), delimiter=shape.delimiter, strict=True)
    size = max(1, _BATCH_CELLS // shape.column_count)
    is_below_header = not shape.has_header
    line = 1
    try:
        while rows := list(islice(reader, size)):
            rows = _fitting(rows, shape.column_count, line)
            line = reader.line_num + 1
            if rows and not is_below_header:
                del rows[0]
                is_below_header = True
            if rows:
                yield rows
    except csv.Error as error:
        raise Unreadable(f"line {reader.line_num} of the CSV file is malformed: {malformed(error)}") from error
    except UnicodeDecodeError as error:
        raise Unreadable(f"the CSV file is not UTF-8 after line {reader.line_num}: {_found(error)}") from error


def _found(error: UnicodeDecodeError) -> str:
    return f"it holds a byte 0x{error.object[error.start]:02x} out of place"


def _fitting(rows: Rows, width: int, line: int) -> Rows:
    """The rows less blank lines; Unreadable when one has not `width` cells. `line` is where they begin."""
    if {*map(len, rows)} == {width}:
        return rows
    for number, row in enumerate(rows):
        if len(row) not in (0, width):
            line += number + sum(cell.count("\n") for above in rows[:number] for cell in above)
            raise Unreadable(f"line {line} of the CSV file has {len(row)} cells, the first has {width}")
    return [row for row in rows if row]


def _sample(file: GuardedStream) -> str:
    """The first whole lines of the file."""
    text = _text(file)
    try:
        sample = text.read(_SAMPLE_CHARACTERS)
        if len(sample) == _SAMPLE_CHARACTERS:
            sample = sample[: sample.rfind("\n") + 1] or sample + text.readline(_MAX_LINE_CHARACTERS)
    except UnicodeDecodeError as error:
        raise Unreadable(f"the CSV file is not UTF-8 text: {_found(error)}") from error
    if "\0" in sample:
        raise Unreadable("the CSV file holds zero bytes: it is no text")
    return sample


def _text(file: GuardedStream) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedReader(file, 1 << 18), encoding="utf-8-sig", newline="")


def _floats(cells: tuple[str, ...]) -> list[float]:
    try:
        return list(map(float, cells))
    except ValueError:
        return [math.nan if is_missing(cell) else float(cell) for cell in cells]


def _are_numbers(cells: list[str]) -> bool:
    try:
        deque(map(float, cells), maxlen=0)
    except ValueError:
        return False
    return True
