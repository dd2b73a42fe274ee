"""Objects of JSON lines as rows."""

from typing import Any

import pytest

from training.tracking.metric_files import lines
from training.tracking.metric_files.piece import MOST_SETS, Place


def row(found: dict[str, Any], number: int = 9) -> dict[str, Any] | None:
    record = lines.record_of(found, number)
    return record and record["data"]


@pytest.mark.parametrize(
    ("found", "time"),
    [({"loss": 1}, 1.6e9), ({"loss": 1, "ts": 1.7e9}, 1.7e9), ({"loss": 1, "time": 12.5}, 12.5)],
)
def test_what_says_no_time_has_that_of_its_writing(found: dict[str, Any], time: float) -> None:
    record = lines.record_of(found, 9, 1.6e9)
    assert record is not None and record["data"] == {"loss": 1, "global_step": 9, "time": time}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"loss": 1}, {"loss": 1, "global_step": 9}),
        ({"step": 3, "loss": 1}, {"loss": 1, "global_step": 3}),
        ({"_step": 3.0, "loss": 1}, {"loss": 1, "global_step": 3}),
        ({"iteration": 3, "loss": 1}, {"loss": 1, "global_step": 3}),
        ({"global_step": 4, "iteration": 3, "loss": 1}, {"loss": 1, "iteration": 3, "global_step": 4}),
        ({"step": "x", "loss": 1}, {"loss": 1, "global_step": 9}),
        ({"step": 1e30, "loss": 1}, {"loss": 1, "step": 1e30, "global_step": 9}),
        ({"train": {"loss": 1, "deep": {"er": 2}, "name": "x"}}, {"train/loss": 1, "global_step": 9}),
        ({"loss": 1, "timestamp": 1.7e9}, {"loss": 1, "time": 1.7e9, "global_step": 9}),
        ({"loss": 1, "ts": 1.7e12}, {"loss": 1, "time": 1.7e9, "global_step": 9}),
        ({"loss": 1, "time": 12.5}, {"loss": 1, "time": 12.5, "global_step": 9}),
        ({"loss": 1, "ok": True, "name": "x", "list": [1], "none": None}, {"loss": 1, "global_step": 9}),
        ({"loss": float("inf")}, {"loss": float("inf"), "global_step": 9}),
        ({"message": "hello"}, None),
        ({"step": 3, "ts": 1.7e9, "level": "info"}, None),
        ({"epoch": 3}, None),
        ({"ok": False}, None),
        ({}, None),
    ],
)
def test_numbers_of_an_object_are_a_row(found: dict[str, Any], expected: dict[str, Any] | None) -> None:
    assert row(found) == expected


def test_rows_without_a_step_are_counted_through() -> None:
    piece = lines.piece_of([({"x": 1}, None), ({"name": "y"}, None), ({"x": 2}, None)], Place(rows=10), 99)
    assert [record["data"]["global_step"] for record in piece.records] == [11, 12]


def test_a_file_of_data_is_not_taken_for_metrics() -> None:
    piece = lines.piece_of([({f"word{at}": at}, None) for at in range(MOST_SETS + 1)], Place(), 99)
    assert piece.records == [] and "different sets of names" in piece.problem


@pytest.mark.parametrize(
    ("data", "is_over", "length"),
    [(b"a\nb", False, 2), (b"a\nb", True, 3), (b"a\n", False, 2), (b"ab", False, 0), (b"abcdefgh", False, 8),
     (b"a\ncdefgh", True, 2), (b"", True, 0)],
)  # fmt: skip
def test_only_whole_lines_are_read(data: bytes, is_over: bool, length: int) -> None:
    assert lines.whole_lines(data, 8, is_over=is_over) == length
