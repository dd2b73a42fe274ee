"""Sliding windows: who may call, when again, and how much of it is remembered."""

import pytest

from mlserver.api.rate_limits.model import Limit
from mlserver.api.rate_limits.windows import Taken, Windows
from tests.together import together

ME, YOU = ("10.0.0.1", "/api/runs"), ("10.0.0.2", "/api/runs")
THREE = Limit(3, window_seconds=60)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def windows(clock):
    return Windows(clock=clock)


def test_it_counts_down_and_refuses_until_the_oldest_call_has_left(windows, clock):
    for remaining in (2, 1, 0):
        assert windows.take(ME, THREE) == Taken(3, remaining, 60 - int(clock.now - 1000))
        clock.now += 10
    assert windows.take(ME, THREE) == Taken(3, 0, 30, wait_s=30, is_first=True)
    clock.now += 29.5
    assert windows.take(ME, THREE) == Taken(3, 0, 1, wait_s=1)
    clock.now += 0.5
    assert windows.take(ME, THREE) == Taken(3, 0, 10)
    assert windows.take(ME, THREE).wait_s == 10


def test_a_refused_call_does_not_count(windows, clock):
    for _ in range(50):
        windows.take(ME, THREE)
    clock.now += 60
    assert windows.take(ME, THREE) == Taken(3, 2, 60)


def test_it_says_the_first_refusal_once_until_a_call_is_let_in(windows, clock):
    said = [windows.take(ME, THREE).is_first for _ in range(6)]
    assert said == [False, False, False, True, False, False]
    clock.now += 60
    assert [windows.take(ME, THREE).is_first for _ in range(4)][-1] is True


def test_each_address_and_each_row_has_a_bucket_of_its_own(windows):
    for _ in range(3):
        windows.take(ME, THREE)
    assert windows.take(YOU, THREE).wait_s == 0
    assert windows.take((ME[0], "/api/projects"), THREE).wait_s == 0
    assert windows.take(ME, THREE).wait_s > 0


def test_it_refuses_bursts(windows, clock):
    limit = Limit(100, burst_size=2)
    assert [windows.take(ME, limit).wait_s for _ in range(3)] == [0, 0, 1]
    clock.now += 1
    assert [windows.take(ME, limit).wait_s for _ in range(3)] == [0, 0, 1]
    assert windows.take(ME, limit).remaining == 0


def test_it_counts_without_refusing(windows):
    taken = [windows.take(ME, THREE, may_refuse=False) for _ in range(9)]
    assert [(it.remaining, it.wait_s) for it in taken] == [(2, 0), (1, 0), *[(0, 0)] * 7]
    assert len(windows) == 3


def test_it_remembers_no_more_than_it_may(clock):
    windows = Windows(most_instants=100, clock=clock)
    for number in range(1000):
        windows.take((f"10.0.{number // 250}.{number % 250}", "/api/runs"), THREE)
        windows.take(ME, THREE)
        assert len(windows) <= 100
    # Who calls all the time is not forgotten.
    assert windows.take(ME, THREE).wait_s > 0


def test_it_lets_exactly_as_many_in_when_all_come_at_once(windows):
    taken = together(*[lambda: [windows.take(ME, Limit(100)).wait_s for _ in range(50)]] * 8)
    assert sum(wait_s == 0 for waits in taken for wait_s in waits) == 100
