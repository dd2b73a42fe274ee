"""Spools of runs: every metrics record becomes points exactly once, whatever else stands in the file."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError

from tests.make import make_node, make_run, make_session
from tests.metrics import rows_of
from tests.together import together
from training.models import MetricChunk, Run, Series, SessionEpoch, Spool
from training.tracking import intake, metrics, spool
from training.tracking.metrics import cache, read_table

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture(autouse=True)
def _nothing_cached() -> None:
    cache.clear()


@pytest.fixture
def run() -> Run:
    return make_run(node=make_node())


def line(data: object, **record: Any) -> str:
    return json.dumps({"ts": 1.5, "type": "metrics", "data": data, **record}) + "\n"


def wrote(run: Run, text: str | bytes) -> Path:
    path = run.directory / "events.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    return path


def taken(run: Run, *lines: str | bytes) -> dict[int, dict[str, Any]]:
    for text in lines:
        wrote(run, text)
    intake.take_in(run, is_over=True, within_s=60)
    return rows_of(read_table(run))


def test_it_takes_in_the_records_of_any_run(run: Run) -> None:
    rows = taken(
        run, line({"global_step": 1, "loss": 0.5, "time": 9.0, "stage": "train"}), line({"global_step": 2, "loss": 1})
    )
    assert rows == {
        1: {"time": 9.0, "loss": 0.5, "stage": "train"},
        2: {"time": None, "loss": 1.0, "stage": None},
    }
    assert Series.objects.get(run=run, name="loss").count == 2


@pytest.mark.parametrize(
    ("data", "steps"),
    [
        ({"global_step": 5, "step": 9, "x": 1}, [5]),
        ({"step": 9, "x": 1}, [9]),
        ({"global_step": None, "step": 9, "x": 1}, [9]),
        ({"global_step": 5.0, "x": 1}, [5]),
        ({"global_step": -3, "x": 1}, [-3]),
        ({"global_step": 5}, [5]),
        ({"x": 1}, []),
        ({"epoch": 3, "x": 1}, []),
        ({"global_step": 1.5, "x": 1}, []),
        ({"global_step": True, "x": 1}, []),
        ({"global_step": "5", "x": 1}, []),
        ({"global_step": 2**63, "x": 1}, []),
        ([1], []),
        (None, []),
    ],
)
def test_a_row_belongs_to_its_step(data: object, steps: list[int], run: Run) -> None:
    assert list(taken(run, line(data))) == steps


def test_what_says_where_a_row_belongs_is_no_column(run: Run) -> None:
    rows = taken(run, line({"global_step": 1, "step": 2, "epoch": 3, "time": 4, "x": 5}))
    assert rows == {1: {"time": 4.0, "x": 5.0}}


@pytest.mark.parametrize("time", ["now", None, True, [1]])
def test_a_time_that_is_no_number_is_none(time: object, run: Run) -> None:
    assert taken(run, line({"global_step": 1, "time": time, "x": 1})) == {1: {"time": None, "x": 1.0}}


def test_clocks_that_jump_and_steps_out_of_order_are_stored_as_they_were_given(run: Run) -> None:
    rows = taken(run, *[line({"global_step": step, "time": 1e9 - step, "x": step}) for step in (5, 3, 4, 3)])
    assert rows == {step: {"time": 1e9 - step, "x": float(step)} for step in (3, 4, 5)}
    assert Series.objects.get().latest_step == 3


def test_bare_nan_and_numbers_beyond_all_bounds_are_taken(run: Run) -> None:
    text = (
        b'{"type": "metrics", "data": {"global_step": 1, "a": NaN, "b": -Infinity, "c": 1e999, "d": 1'
        + b"0" * 400
        + b"}}\n"
    )
    rows = taken(run, text)
    assert rows == {1: {"time": None, "a": None, "b": -math.inf, "c": math.inf, "d": math.inf}}


def test_values_that_are_no_scalars_are_left_out(run: Run) -> None:
    assert taken(run, line({"global_step": 1, "x": 1, "y": [1], "z": {}})) == {1: {"time": None, "x": 1.0}}


@pytest.mark.database
def test_text_that_databases_refuse_is_made_storable(run: Run) -> None:
    rows = taken(run, line({"global_step": 1, "a\0b": 1, "\ud800": "x\0\udfff", "n" * 300: 2, "w": "w" * 5000}))
    assert rows == {1: {"time": None, "ab": 1.0, "?": "x?", "n" * 255: 2.0, "w": "w" * 4096}}


@pytest.mark.parametrize(
    "garbage",
    [b"no json\n", b"\x00\xff\xfe\n", b"[1, 2]\n", b'{"type": "metrics"\n', b"[" * 100_000 + b"\n", b'{"a": "\xff"}\n'],
    ids=["words", "binary", "array", "torn", "deep", "not utf-8"],
)
def test_a_bad_line_is_counted_and_logged_and_all_around_it_is_kept(run: Run, garbage: bytes, caplog: Any) -> None:
    rows = taken(run, line({"global_step": 1, "x": 1}), garbage, line({"global_step": 2, "x": 2}))
    assert list(rows) == [1, 2]
    assert Spool.objects.get().bad_lines == 1
    assert f"{run.pk}: 1 lines" in caplog.text


def test_a_torn_last_line_waits_for_its_end(run: Run) -> None:
    text = line({"global_step": 1, "x": 1})
    path = wrote(run, text + text[:20])
    intake.take_in(run)
    assert Series.objects.get().count == 1
    with path.open("a") as file:
        file.write(text[20:])
    intake.take_in(run)
    assert (Series.objects.get().count, Spool.objects.get().bad_lines) == (2, 0)


def test_the_offset_does_not_move_when_the_points_cannot_be_stored(run: Run, monkeypatch: Any) -> None:
    """Both are one transaction: a server that is killed between them has written neither."""
    wrote(run, line({"global_step": 1, "x": 1}))

    def fails(*_: object) -> None:
        assert Spool.objects.get().offset > 0, "the offset is written, and not committed"
        raise DatabaseError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(metrics, "append", fails)
        with pytest.raises(DatabaseError):
            intake.take_in(run)
    assert not Spool.objects.filter(offset__gt=0).exists()
    intake.take_in(run)
    assert (Series.objects.get().count, Spool.objects.get().offset > 0) == (1, True)


def test_epochs_and_metrics_of_a_session_come_from_the_same_record() -> None:
    session = make_session(epochs=5)
    run = make_run(session.task, node=make_node())
    rows = taken(run, line({"epoch": 1, "global_step": 40, "loss": 0.5, "accuracy": 0.25, "val_loss": None}))
    assert SessionEpoch.objects.get(session=session).loss == 0.5
    assert rows == {40: {"time": None, "loss": 0.5, "accuracy": 0.25, "val_loss": None}}


def test_it_looks_at_the_active_runs_of_the_node(run: Run) -> None:
    elsewhere, ended = make_run(node=make_node()), make_run(node=run.node, status="finished")
    for one in (run, elsewhere, ended):
        wrote(one, line({"global_step": 1, "x": 1}))
    assert run.node is not None
    intake.Intake().take_in_all(run.node)
    assert list(Series.objects.values_list("run", flat=True)) == [run.pk]


def test_runs_without_news_cost_one_query(run: Run, django_assert_num_queries: Any) -> None:
    taken(run, line({"global_step": 1, "x": 1}))
    make_run(node=run.node)
    assert run.node is not None
    with django_assert_num_queries(1):
        intake.Intake().take_in_all(run.node)


def test_a_look_ends_after_some_stretches_so_that_others_have_their_turn(run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(spool, "AT_ONCE_BYTES", 100)
    wrote(run, line({"global_step": 1, "x": 1}) * 30)
    intake.take_in(run)
    assert Series.objects.get().count == spool.STRETCHES
    intake.take_in(run, is_over=True, within_s=60)
    assert Series.objects.get().count == 30


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_processes_at_once_take_each_line_in_once(run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(spool, "AT_ONCE_BYTES", 500)
    wrote(run, "".join(line({"global_step": step, "x": step, "w": "a" if step % 2 else "b"}) for step in range(100)))
    together(*[lambda: intake.take_in(run, is_over=True, within_s=60)] * 3)
    assert list(rows_of(read_table(run))) == list(range(100))
    assert sum(MetricChunk.objects.values_list("rows", flat=True)) == 100
