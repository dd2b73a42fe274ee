"""The cache: what is kept, what is read again, and what has to go."""

from typing import Any

import pytest

from tests.make import make_sdk_run
from tests.metrics import log, log_columns, rows_of
from training.models import MetricGroup, Run
from training.tracking.metrics.groups import read_groups
from training.tracking.metrics.table_cache import TableCache

pytestmark = pytest.mark.django_db


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> TableCache:
    return TableCache(max_bytes=100_000, max_entries=3, clock=clock)


def counts(cache: TableCache) -> tuple[int, int, int]:
    said = cache.statistics()
    return said.hits, said.misses, said.incremental


def test_it_counts_nothing_before_the_first_read(cache: TableCache) -> None:
    assert (counts(cache), cache.statistics().size) == ((0, 0, 0), 0)


def test_it_gives_the_same_table_while_nothing_is_logged(run: Run, cache: TableCache) -> None:
    log_columns(run, range(9), loss=range(9))
    assert cache.get(run.pk) is cache.get(run.pk)
    assert counts(cache) == (1, 1, 0)


def test_it_reads_only_what_is_new(run: Run, cache: TableCache, django_assert_num_queries: Any) -> None:
    log_columns(run, range(9), loss=range(9))
    log(run, {"global_step": 4, "val": 1.0})
    cache.get(run.pk)
    log_columns(run, [9, 10], loss=[9, 10])
    with django_assert_num_queries(3):  # rows of the groups, their columns, the one that has grown
        table = cache.get(run.pk)
    assert table is not None
    assert (table.columns["loss"].tolist(), counts(cache)) == (list(range(11)), (0, 1, 1))


def test_what_was_said_later_counts_also_in_a_part_that_is_known(run: Run, cache: TableCache) -> None:
    log(run, {"global_step": 1, "loss": 1.0, "acc": 0.5}, {"global_step": 2, "loss": 2.0, "acc": 0.6})
    cache.get(run.pk)
    log(run, {"global_step": 1, "loss": float("nan")}, {"global_step": 0, "word": "new"})
    table = cache.get(run.pk)
    assert table is not None
    assert rows_of(table) == {
        0: {"time": None, "loss": None, "acc": None, "word": "new"},
        1: {"time": None, "loss": None, "acc": 0.5, "word": None},
        2: {"time": None, "loss": 2.0, "acc": 0.6, "word": None},
    }


def test_a_name_that_becomes_a_word_is_read_as_both(run: Run, cache: TableCache) -> None:
    log(run, {"global_step": 1, "x": 1.0})
    cache.get(run.pk)
    log(run, {"global_step": 2, "x": "high"})
    table = cache.get(run.pk)
    assert table is not None
    assert table.columns["x"].tolist() == [1.0, "high"]


def test_points_that_are_gone_are_a_miss(run: Run, cache: TableCache) -> None:
    log_columns(run, range(9), loss=range(9))
    cache.get(run.pk)
    MetricGroup.objects.all().delete()
    log_columns(run, [1], loss=[5])
    table = cache.get(run.pk)
    assert table is not None
    assert (table.columns["loss"].tolist(), counts(cache)) == ([5.0], (0, 2, 0))


def test_it_does_not_take_what_is_larger_than_all_of_it(run: Run, cache: TableCache) -> None:
    log_columns(run, range(5000), loss=range(5000))
    assert cache.get(run.pk) is None
    assert (cache.statistics().size, counts(cache)) == (0, (0, 1, 0))


def test_the_least_recently_used_goes_when_it_is_full(cache: TableCache) -> None:
    runs = [make_sdk_run() for _ in range(3)]
    for run in runs:
        log_columns(run, range(1500), loss=range(1500))  # 36,000 bytes
    for run in (runs[0], runs[1], runs[0], runs[2]):
        cache.get(run.pk)
    assert (cache.statistics().size, cache.statistics().size_bytes) == (2, 72_000)
    cache.get(runs[0].pk)
    assert counts(cache) == (2, 3, 0)


def test_it_keeps_no_more_runs_than_it_may(cache: TableCache) -> None:
    for run in [make_sdk_run() for _ in range(5)]:
        log_columns(run, [1], loss=[1])
        cache.get(run.pk)
    assert cache.statistics().size == 3


def test_what_nobody_reads_for_an_hour_goes(run: Run, cache: TableCache, clock: Clock) -> None:
    log_columns(run, [1], loss=[1])
    cache.get(run.pk)
    clock.now = 3599
    assert cache.statistics().size == 1
    clock.now = 3601
    assert cache.statistics().size == 0


def test_it_makes_room_before_it_reads(cache: TableCache, monkeypatch: Any) -> None:
    runs = [make_sdk_run() for _ in range(2)]
    for run in runs:
        log_columns(run, range(3000), loss=range(3000))  # 72,000 bytes
    cache.get(runs[0].pk)
    sizes = []

    def reading(*arguments: Any) -> Any:
        sizes.append(cache.statistics().size)
        return read_groups(*arguments)

    monkeypatch.setattr("training.tracking.metrics.table_cache.read_groups", reading)
    cache.get(runs[1].pk)
    assert (sizes, cache.statistics().size) == ([0], 1)
