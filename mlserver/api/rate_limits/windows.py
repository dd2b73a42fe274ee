"""Sliding windows: when each address called each row."""

import math
import threading
import time
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from mlserver.api.rate_limits.model import Limit

MOST_INSTANTS = 500_000
Key = tuple[str, str]


class Taken(NamedTuple):
    """`wait_s` 0: the call is let in and counted. `is_first`: of the refusals since one was let in."""

    limit: int
    remaining: int
    reset_s: int
    wait_s: int = 0
    is_first: bool = False


class Windows:
    """Safe between threads. It remembers at most `most_instants` calls, and forgets the longest silent bucket first."""

    def __init__(self, *, most_instants: int = MOST_INSTANTS, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most_instants
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[Key, array[float]] = OrderedDict()
        self._refused: set[Key] = set()
        self._count = 0

    def take(self, key: Key, limit: Limit, *, may_refuse: bool = True) -> Taken:
        """Count a call; one that is refused does not count."""
        with self._lock:
            now = self._clock()
            times = self._buckets.get(key)
            if times is None:
                times = self._buckets[key] = array("d")
            else:
                self._buckets.move_to_end(key)
            before = len(times)
            del times[: bisect_right(times, now - limit.window_seconds)]
            wait_s = _wait_s(times, limit, now) if may_refuse else 0
            if not wait_s:
                times.append(now)
                # Without refusals there would be no end to them.
                del times[: max(0, len(times) - limit.max_requests)]
            self._count += len(times) - before
            is_first = self._note(key, is_refused=wait_s > 0)
            self._forget()
            remaining = 0 if wait_s else limit.max_requests - len(times)
            reset_s = max(1, math.ceil(times[0] + limit.window_seconds - now))
            return Taken(limit.max_requests, remaining, reset_s, wait_s, is_first)

    def __len__(self) -> int:
        """Calls that are remembered."""
        return self._count

    def _note(self, key: Key, *, is_refused: bool) -> bool:
        if not is_refused:
            self._refused.discard(key)
            return False
        is_first = key not in self._refused
        self._refused.add(key)
        return is_first

    def _forget(self) -> None:
        while self._count > self._most and len(self._buckets) > 1:
            key, times = self._buckets.popitem(last=False)
            self._count -= len(times)
            self._refused.discard(key)


def _wait_s(times: "array[float]", limit: Limit, now: float) -> int:
    """Whole seconds until a call is let in; 0 when it is now."""
    if len(times) >= limit.max_requests:
        return max(1, math.ceil(times[len(times) - limit.max_requests] + limit.window_seconds - now))
    burst = limit.burst_size
    if burst is not None and len(times) >= burst and times[len(times) - burst] > now - 1:
        return 1
    return 0
