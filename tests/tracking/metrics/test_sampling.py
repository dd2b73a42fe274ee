"""Which rows are shown: first, last, the peaks of every column, and as many as were asked for."""

import numpy as np
import pytest

from training.tracking.metrics import sample

N = 20_000
STEPS = np.arange(N, dtype=np.int64)
NOISE = np.random.default_rng(1).standard_normal(N)


def with_peak(at: int) -> np.ndarray:
    column = NOISE.copy()
    column[at] = 1000.0
    return column


@pytest.mark.parametrize("points", [2, 3, 4, 5, 7, 100, 2000, N - 1])
def test_it_gives_as_many_rows_as_are_asked_for_with_the_first_and_the_last(points: int) -> None:
    rows = sample(STEPS, [NOISE, NOISE * 2, with_peak(5)], points)
    assert (len(rows), rows[0], rows[-1]) == (points, 0, N - 1)
    assert np.all(rows[1:] > rows[:-1])


@pytest.mark.parametrize("points", [N, N + 1, 10**9])
def test_it_gives_all_rows_when_there_are_no_more(points: int) -> None:
    assert sample(STEPS, [NOISE], points).tolist() == STEPS.tolist()


def test_it_shows_the_peaks_of_every_column() -> None:
    peaks = [111, 5000, 7777, 19_998]
    rows = sample(STEPS, [with_peak(at) for at in peaks], 200)
    assert set(peaks) <= set(rows.tolist())


def test_columns_that_move_together_are_topped_up() -> None:
    rows = sample(STEPS, [NOISE, NOISE, NOISE], 600)
    assert len(rows) == 600


def test_what_is_not_finite_is_never_picked_for_its_column() -> None:
    column = np.full(N, np.nan)
    column[[40, 4000, 15_000]] = [1.0, np.inf, 3.0]
    rows = set(sample(STEPS, [NOISE, column], 100).tolist())
    assert {40, 15_000} <= rows


@pytest.mark.parametrize(
    "columns",
    [
        [],
        [np.full(N, np.nan)],
        [np.full(N, 3.0)],
        [np.full(N, np.inf), np.full(N, -np.inf)],
        [np.where(STEPS % 2, 1.7e308, -1.7e308)],
        [np.full(N, np.nan), np.full(N, 1.0), NOISE],
        [np.where(STEPS < 2, 1.0, np.nan)],
        [NOISE] * 500,
    ],
    ids=["none", "nan", "constant", "infinite", "extreme", "mixed", "two numbers", "more columns than points"],
)
@pytest.mark.parametrize("points", [2, 3, 4, 6, 100])
def test_it_takes_columns_of_any_kind(columns: list[np.ndarray], points: int) -> None:
    assert len(sample(STEPS, columns, points)) == points


@pytest.mark.parametrize(
    "x",
    [
        np.full(N, 7.0),
        np.full(N, 7),
        np.sort(NOISE) * 2e307,
        STEPS * 1e-300,
        STEPS + 2**62,
        np.linspace(-(2**63), 2**63 - 1024, N).astype(np.int64),
        np.where(STEPS < N - 1, 0, 10**18),
        np.where(STEPS < 1, -(10**18), STEPS),
        np.repeat(np.arange(N // 100), 100).astype(float) + 1.7e9,
        1.7e9 + STEPS * 1e-7,
        np.full(N, np.nan),
    ],
    ids=["same", "same int", "huge", "tiny", "far", "all of int64", "late", "early", "stairs", "fine", "nan"],
)
def test_it_takes_any_axis(x: np.ndarray) -> None:
    assert len(sample(x, [NOISE, with_peak(500)], 300)) == 300


def test_it_takes_random_axes_and_gaps() -> None:
    """The library panics on axes that it was not made for; a panic would end this test."""
    dice = np.random.default_rng(2)
    for _ in range(300):
        count, points = int(dice.integers(3, 400)), int(dice.integers(2, 60))
        x = np.sort(
            dice.choice([dice.integers(-5, 5, count), dice.standard_normal(count) * 10.0 ** dice.integers(-9, 18)])
        )
        column = np.where(dice.random(count) < dice.random(), np.nan, dice.standard_normal(count))
        assert len(sample(x, [column, x.astype(float)], points)) == min(points, count)


def test_it_refuses_fewer_than_two_points() -> None:
    with pytest.raises(ValueError, match="1 points"):
        sample(STEPS, [NOISE], 1)
