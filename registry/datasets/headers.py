"""The shape of a CSV file, told from its first lines: delimiter, header row, target column."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from registry.datasets.facts import Unreadable

DELIMITERS = ",;\t"
TARGET_NAMES = ("label", "target", "y", "class")
MISSING = frozenset(("", "na", "n/a", "nan", "null", "?"))
MAX_COLUMNS = 100_000
_LOOKED_AT = 1000
# Words of what the csv module says, and ours.
_FAULTS = {
    "field larger": f"a cell has more than {csv.field_size_limit()} characters",
    "unexpected end": "a quote is not closed",
    "expected after": "behind a closing quote stands something else than the next cell",
    "NUL": "it holds a zero byte",
    "new-line": "it holds a carriage return outside of quotes",
}


@dataclass(frozen=True)
class Shape:
    """`names` are empty texts without a header row; `target` is a column's index."""

    delimiter: str
    has_header: bool
    names: tuple[str, ...]
    target: int

    @property
    def column_count(self) -> int:
        return len(self.names)


def shape_of(sample: str) -> Shape:
    """The shape of the table that begins with `sample`; raises Unreadable when it holds no row."""
    delimiter, rows = _split(sample)
    if not rows:
        raise Unreadable("the CSV file holds no row")
    first = [cell.strip() for cell in rows[0]]
    if len(first) > MAX_COLUMNS:
        raise Unreadable(f"the CSV file has more than {MAX_COLUMNS} columns")
    below = rows[1:_LOOKED_AT]
    has_header = _is_header(first, below)
    names = tuple(first) if has_header else ("",) * len(first)
    return Shape(delimiter, has_header, names, _target(names))


def is_number(cell: str) -> bool:
    """Whether Python's float() takes the text."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def is_missing(cell: str) -> bool:
    """Whether the text stands for a value nobody knows."""
    return cell.strip().lower() in MISSING


def malformed(error: csv.Error) -> str:
    """What is wrong with a line, in words for who wrote it."""
    words = str(error)
    return next((why for word, why in _FAULTS.items() if word in words), "its cells cannot be told apart")


def _split(sample: str) -> tuple[str, list[list[str]]]:
    """The delimiter that splits most rows into the same number of cells, the larger number first."""
    best: tuple[float, int] = (-1.0, 0)
    chosen, cells = DELIMITERS[0], _rows(sample, DELIMITERS[0])
    for delimiter in DELIMITERS:
        rows = _rows(sample, delimiter)
        width, share = _usual_width(rows)
        if width > 1 and (share, width) > best:
            best, chosen, cells = (share, width), delimiter, rows
    return chosen, cells


def _rows(sample: str, delimiter: str) -> list[list[str]]:
    """Rows of the sample, less those after one that is cut or malformed: reading the whole file will tell."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, strict=True):
            if row:
                rows.append(row)
    except csv.Error as error:
        if not rows:
            raise Unreadable(f"the first line of the CSV file is malformed: {malformed(error)}") from error
    return rows


def _usual_width(rows: list[list[str]]) -> tuple[int, float]:
    if not rows:
        return 0, 0.0
    width, count = Counter(map(len, rows)).most_common(1)[0]
    return width, count / len(rows)


def _is_header(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: it names a target, or is text above numbers, or unlike all below."""
    columns = [{cell.strip() for cell in column} for column in zip_longest(*below, fillvalue="")][: len(first)]
    recurs = any(cell in column for cell, column in zip(first, columns, strict=False) if cell)
    if not recurs and any(cell.lower() in TARGET_NAMES for cell in first):
        return True
    if any(is_number(cell) for cell in first) or not any(first):
        return False
    if any(_is_numeric(column) for column in columns):
        return True
    return not recurs


def _is_numeric(column: set[str]) -> bool:
    known = [cell for cell in column if not is_missing(cell)]
    return bool(known) and all(map(is_number, known))


def _target(names: Sequence[str]) -> int:
    """The column called label, else target, else y, else class; else the last one."""
    lowered = [name.lower() for name in names]
    for name in TARGET_NAMES:
        if name in lowered:
            return lowered.index(name)
    return len(names) - 1
