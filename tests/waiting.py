"""Poll with a deadline instead of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(look: Callable[[], T], *, within_s: float = 10, every_s: float = 0.01) -> T:
    """The first truthy answer of `look`; fails the test with the last answer when none comes in time."""
    deadline = time.monotonic() + within_s
    while not (answer := look()):
        assert time.monotonic() < deadline, f"nothing within {within_s} s, the last answer was {answer!r}"
        time.sleep(every_s)
    return answer
