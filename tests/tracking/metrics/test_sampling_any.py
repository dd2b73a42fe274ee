"""Sampling of whatever a script may log: the library under it panics for some of it, past `except Exception`."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as some

from training.api.runicorn.metric_rows import relative_times
from training.tracking.metrics import sample

ANY = [0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1.7e308, -1.7e308, 5e-324, 1e300, 0.1]
numbers = some.one_of(some.sampled_from(ANY), some.floats(width=64))
# Thirty drawn values, repeated: what panics are values, and long lists of drawn ones take long.
columns = some.lists(some.lists(numbers, min_size=1, max_size=30), max_size=6)
steps = some.one_of(
    some.sets(some.integers(-(2**63), 2**63 - 1), min_size=1, max_size=60),
    some.builds(lambda first, count: set(range(first, first + count)), some.integers(-(2**62), 2**62), some.just(400)),
)
points = some.integers(2, 60)


@settings(max_examples=300, deadline=None)
@given(steps, columns, points)
def test_it_gives_what_was_asked_for_over_steps(chosen, columns, points):
    x = np.array(sorted(chosen), dtype=np.int64)
    rows = sample(x, [np.resize(np.array(column), len(x)) for column in columns], points)
    assert len(rows) == min(points, len(x))
    assert (rows[0], rows[-1]) == (0, len(x) - 1)
    assert np.all(rows[1:] > rows[:-1])


@settings(max_examples=200, deadline=None)
@given(some.lists(numbers, min_size=1, max_size=40), some.integers(1, 300), columns, points)
def test_it_gives_what_was_asked_for_over_times(times, count, columns, points):
    with np.errstate(over="ignore"):
        order, x = relative_times(np.resize(np.array(times), count))
    assert np.all(x[1:] >= x[:-1]) and x[0] == 0
    assert order is None or sorted(order.tolist()) == list(range(count))
    rows = sample(x, [np.resize(np.array(column), count) for column in columns], points)
    assert len(rows) == min(points, count)
    assert (rows[0], rows[-1]) == (0, count - 1)
