"""Columns written as rows are what writing each row would give."""

import csv
import io
import math

import numpy as np
import orjson
from hypothesis import given, settings
from hypothesis import strategies as some

from training.api.runicorn.row_text import csv_header, csv_rows, json_rows, rows_at_once

# What a database can hold: no NUL, no half of a surrogate pair.
texts = some.text(some.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8)
words = some.one_of(some.none(), some.booleans(), texts, some.floats())
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@some.composite
def tables(draw):
    count = draw(some.integers(1, 6))
    names = draw(some.lists(texts, min_size=2, max_size=4, unique=True))
    columns = []
    for name in names:
        kind = draw(some.sampled_from(["number", "step", "word"]))
        if kind == "word":
            column = np.array([*draw(some.lists(words, min_size=count, max_size=count)), None], dtype=object)[:-1]
        elif kind == "step":
            steps = some.integers(-(2**63), 2**63 - 1)
            column = np.array(draw(some.lists(steps, min_size=count, max_size=count)), dtype=np.int64)
        else:
            column = np.array(draw(some.lists(some.floats(), min_size=count, max_size=count)))
        columns.append((name, column))
    return columns


def finite(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value


def neutral(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


@settings(max_examples=300, deadline=None)
@given(tables())
def test_json_has_the_values_of_each_row(columns):
    rows = zip(*(column.tolist() for _, column in columns), strict=True)
    names = [name for name, _ in columns]
    found = orjson.loads(b"[" + json_rows(columns) + b"]")
    assert found == [dict(zip(names, map(finite, row), strict=True)) for row in rows]
    assert all(type(value) is not int for line in found for value in line.values() if isinstance(value, bool))


@settings(max_examples=300, deadline=None)
@given(tables())
def test_csv_has_the_values_of_each_row(columns):
    text = csv_header([name for name, _ in columns]) + csv_rows(columns)
    header, *lines = csv.reader(io.StringIO(text.decode(), newline=""))
    assert header == [neutral(name) for name, _ in columns]
    for at, line in enumerate(lines):
        for cell, (_, column) in zip(line, columns, strict=True):
            value = finite(column.tolist()[at])
            if isinstance(value, str):
                assert cell == neutral(value)
            elif isinstance(value, bool):
                assert cell == str(value).lower()
            else:
                assert cell == "" if value is None else type(value)(cell) == value
    assert len(lines) == len(columns[0][1])


def test_no_rows_are_no_text():
    columns = [("a", np.empty(0)), ("b", np.empty(0, dtype=object))]
    assert (json_rows(columns), csv_rows(columns)) == (b"", b"")


def test_pieces_of_wide_tables_have_several_rows_and_those_of_narrow_ones_not_too_many():
    assert rows_at_once(12_000) == 16
    assert 1000 < rows_at_once(5) < 5000
