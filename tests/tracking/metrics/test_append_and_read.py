"""What is appended is read back as the rules say, however it was cut into appends and chunks."""

import math
import random
from typing import Any

import numpy as np
import pytest
from django.db import transaction

from tests.make import make_sdk_run
from tests.metrics import Event, expected_rows, log, log_columns, rows_of
from tests.together import together
from training.models import MetricChunk, MetricGroup, MetricWord, Run, Series
from training.tracking import metrics
from training.tracking.metrics import Batch, cache, chunks, read_table, words

pytestmark = pytest.mark.django_db


def random_event(random: random.Random) -> Event:
    """Of few steps and names, so that they meet; with words, gaps, numbers that are none, and times now and then."""
    event: dict[str, Any] = {"global_step": random.randrange(-5, 40)}
    for name in random.choice([("loss",), ("loss", "acc"), ("val",), ("loss", "stage"), ("mixed",), ()]):
        number = random.choice([random.random(), random.randrange(9), math.nan, math.inf, None])
        word = random.choice(["train", "val", "äß\u20ac", True, False])
        event[name] = {"stage": word, "mixed": random.choice([number, word])}.get(name, number)
    if random.random() < 0.7:
        event["time"] = random.uniform(1e9, 2e9)
    return event


@pytest.mark.parametrize("seed", range(20))
def test_it_reads_what_a_plain_reading_of_the_rules_gives(seed: int, run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(chunks, "SMALL_BYTES", 200)
    monkeypatch.setattr(chunks, "MOST_BYTES", 600)
    dice = random.Random(seed)
    events: list[Event] = []
    for _ in range(25):
        new = [random_event(dice) for _ in range(dice.randrange(8))]
        log(run, *new)
        events += new
        if dice.random() < 0.3:  # the cache then has a part of what comes
            assert rows_of(read_table(run)) == with_time(expected_rows(events))
    assert rows_of(read_table(run)) == with_time(expected_rows(events))
    cache.clear()
    assert rows_of(read_table(run)) == with_time(expected_rows(events))


def with_time(rows: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """NaN as None, and always a time."""
    return {
        step: {"time": None, **{name: None if value != value else value for name, value in row.items()}}  # noqa: PLR0124
        for step, row in rows.items()
    }


@pytest.mark.parametrize("seed", range(5))
def test_a_part_is_read_as_the_whole_has_it(seed: int, run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(chunks, "SMALL_BYTES", 200)
    monkeypatch.setattr(chunks, "MOST_BYTES", 600)
    dice = random.Random(seed)
    log(run, *[random_event(dice) for _ in range(200)])
    whole = read_table(run)
    monkeypatch.setattr(cache, "max_bytes", 0)
    for names, steps in [
        (["loss"], None),
        (["val", "nothing"], (3, 20)),
        (None, (-2, 2)),
        ([], (0, 0)),
        (["acc"], (50, 60)),
    ]:
        part = read_table(run, names, steps)
        low, high = steps or (-10, 100)
        columns = whole.columns if names is None else names
        rows = {
            step: {name: row.get(name) for name in ("time", *columns)}
            for step, row in rows_of(whole).items()
            if low <= step <= high
        }  # fmt: skip
        assert rows_of(part) == rows


def test_it_stores_the_axis_once_for_names_that_are_logged_together(run: Run) -> None:
    points = log_columns(run, range(100), b=np.arange(100), a=np.ones(100))
    group = MetricGroup.objects.get(run=run)
    chunk = MetricChunk.objects.get(group=group)
    assert (points, group.rows, group.columns) == (200, 100, [["a", "number"], ["b", "number"]])
    assert (chunk.number, chunk.rows, chunk.first_step, chunk.last_step, chunk.is_ascending) == (0, 100, 0, 99, True)
    sizes = [len(blob) for blob in (chunk.steps, chunk.times, chunk.values, chunk.orders)]
    assert sizes == [800, 800, 1600, 800]


def test_a_row_each_second_for_days_leaves_few_chunks(run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(chunks, "SMALL_BYTES", 640)
    monkeypatch.setattr(chunks, "MOST_BYTES", 40_960)
    for step in range(600):
        log_columns(run, [step], loss=[1 / (step + 1)])
    rows = list(MetricChunk.objects.order_by("number").values_list("rows", flat=True))
    assert (sum(rows), len(rows) <= 8) == (600, True)
    assert read_table(run).steps.tolist() == list(range(600))


def test_no_chunk_grows_beyond_the_limit(run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(chunks, "MOST_BYTES", 3200)
    log_columns(run, range(1000), loss=np.arange(1000))
    assert set(MetricChunk.objects.values_list("rows", flat=True)) == {100}
    assert read_table(run).columns["loss"].tolist() == list(range(1000))


def test_twelve_thousand_names_in_one_row(run: Run, django_assert_max_num_queries: Any) -> None:
    event = {"global_step": 1, "time": 5.0} | {f"layer/{n}": n / 7 for n in range(12_000)}
    with django_assert_max_num_queries(11):
        assert log(run, event) == 12_000
    log(run, event | {"global_step": 2})
    table = read_table(run)
    assert (table.steps.tolist(), len(table.columns)) == ([1, 2], 12_000)
    assert table.columns["layer/11999"].tolist() == [11_999 / 7] * 2
    assert Series.objects.filter(run=run, count=2).count() == 12_000


def test_appending_costs_the_same_number_of_statements_each_time(run: Run, django_assert_num_queries: Any) -> None:
    log(run, {"global_step": 1, "loss": 1.0, "stage": "train"})
    with django_assert_num_queries(
        10
    ):  # savepoint, groups, words, chunks: sizes, count, blobs, out, in; series; release
        log(run, {"global_step": 2, "loss": 1.0, "stage": "train"})


def test_reading_costs_a_query_for_each_group(run: Run, django_assert_num_queries: Any) -> None:
    log(run, {"global_step": 1, "loss": 1.0}, {"global_step": 2, "val": 2.0})
    with django_assert_num_queries(4):  # rows of the groups, their columns, two groups
        read_table(run)
    with django_assert_num_queries(1):
        read_table(run)


def test_it_keeps_nan_and_infinity(run: Run) -> None:
    log(
        run,
        *[{"global_step": at, "x": x} for at, x in enumerate([math.nan, math.inf, -math.inf, 10**400, -(10**400), 5])],
    )
    assert str(read_table(run).columns["x"].tolist()) == "[nan, inf, -inf, inf, -inf, 5.0]"


def test_it_sums_up_each_series_and_leaves_words_alone(run: Run) -> None:
    log(run, {"global_step": 1, "loss": 3.0, "ok": True}, {"global_step": 2, "loss": math.inf, "acc": 1})
    log(run, {"global_step": 9, "loss": 1.0}, {"global_step": 4, "loss": 2.0, "stage": "x"})
    loss = Series.objects.get(run=run, name="loss")
    said = (loss.count, loss.first, loss.last, loss.min, loss.max, loss.latest_step)
    assert said == (4, 3.0, 2.0, 1.0, 3.0, 4)
    assert set(Series.objects.values_list("name", flat=True)) == {"loss", "acc"}


def test_a_series_of_nothing_but_nan_has_no_extremes_until_a_number_comes(run: Run) -> None:
    log(run, {"global_step": 1, "x": math.nan})
    row = Series.objects.get()
    assert (row.count, row.first, row.last, row.min, row.max) == (1, None, None, None, None)
    log(run, {"global_step": 2, "x": -4.0})
    row.refresh_from_db()
    assert (row.count, row.first, row.last, row.min, row.max) == (2, None, -4.0, -4.0, -4.0)


def test_it_keeps_each_word_once(run: Run) -> None:
    for step in range(50):
        log(run, {"global_step": step, "stage": "train" if step % 2 else "val", "ok": step > 10})
    assert MetricWord.objects.filter(run=run).count() == 4
    stages = read_table(run).columns["stage"].tolist()
    assert stages[:3] == ["val", "train", "val"]


@pytest.mark.database
def test_it_finds_the_words_of_lists_of_any_length(run: Run) -> None:
    for count in (1, 2, 3, 7, words.AT_ONCE, words.AT_ONCE + 3):
        log(run, *({"global_step": at, "w": f"w{at}"} for at in range(count)))
        assert MetricWord.objects.filter(run=run).count() == count
        assert read_table(run).columns["w"].tolist() == [f"w{at}" for at in range(count)]


def test_runs_do_not_see_each_other(run: Run) -> None:
    other = make_sdk_run()
    log(run, {"global_step": 1, "a": 1.0, "w": "x"})
    log(other, {"global_step": 1, "b": 2.0, "w": "y"})
    assert rows_of(read_table(other)) == {1: {"time": None, "b": 2.0, "w": "y"}}


def test_a_run_without_points_is_an_empty_table(run: Run) -> None:
    table = read_table(run)
    assert (len(table), table.columns) == (0, {})


def test_it_refuses_columns_of_unequal_length() -> None:
    with pytest.raises(ValueError, match="2 steps"):
        Batch(np.array([1, 2]), np.array([1.0, 2.0]), {"loss": np.array([1.0])})


@pytest.mark.django_db(transaction=True)
def test_it_refuses_to_append_outside_a_transaction(run: Run) -> None:
    with pytest.raises(transaction.TransactionManagementError):
        metrics.append(run.pk, [Batch(np.array([1]), np.array([1.0]), {"loss": np.array([1.0])})])
    assert not MetricGroup.objects.exists()


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_two_that_append_at_once_lose_nothing(run: Run) -> None:
    def append(name: str, first: int) -> None:
        for step in range(first, first + 20):
            log(run, {"global_step": step, "loss": step, name: step, "stage": name}, {"global_step": step, "acc": 1})

    together(lambda: append("a", 0), lambda: append("b", 100), lambda: append("a", 200))
    table = read_table(run)
    steps = [*range(20), *range(100, 120), *range(200, 220)]
    assert (table.steps.tolist(), table.columns["loss"].tolist()) == (steps, steps)
    assert Series.objects.get(run=run, name="loss").count == 60
    orders = [np.frombuffer(blob, "<i8") for blob in MetricChunk.objects.values_list("orders", flat=True)]
    assert sorted(np.concatenate(orders).tolist()) == list(range(120))
    assert set(MetricWord.objects.values_list("code", flat=True)) == {0, 1}


@pytest.mark.database
def test_the_database_gives_every_bit_back(run: Run, monkeypatch: Any) -> None:
    steps = [-(2**63), -1, 0, 2**53 + 1, 2**63 - 1]
    values = [math.pi, 5e-324, 1.7976931348623157e308, -0.0, math.nan]
    log_columns(run, steps, a=values, b=values[::-1], c=values)
    log_columns(run, [7], a=[7], b=[math.inf], c=[9])
    for max_bytes in (cache.max_bytes, 0):
        monkeypatch.setattr(cache, "max_bytes", max_bytes)
        table = read_table(run, ["b"], (-(2**63), 2**63 - 1))
        assert table.steps.tolist() == [-(2**63), -1, 0, 7, 2**53 + 1, 2**63 - 1]
        assert (
            str(table.columns["b"].tolist()) == "[nan, -0.0, 1.7976931348623157e+308, inf, 5e-324, 3.141592653589793]"
        )
        assert read_table(run, ["c", "a"]).columns["c"].tolist()[3] == 9
