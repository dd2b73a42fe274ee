"""Wait for something to become true, with a deadline instead of a sleep."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_EVERY_S = 0.02


def until(look: Callable[[], T], *, within_s: float = 30, what: str = "") -> T:
    """The first true thing `look` returns; fails the test when there is none in time."""
    give_up_at = time.monotonic() + within_s
    while not (found := look()):
        if time.monotonic() > give_up_at:
            raise AssertionError(f"not within {within_s} s: {what or getattr(look, '__name__', look)}; last: {found!r}")
        time.sleep(LOOK_EVERY_S)
    return found
