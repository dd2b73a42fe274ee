"""Wrong keys per address: after ten in a minute the address is told to wait."""

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from mlserver.accounts.peers import site_of

WINDOW_S = 60.0
MAX_ADDRESSES = 4096


class FailedKeys:
    """Counts in a sliding minute; safe between threads.

    Memory is bounded: at most `MAX_ADDRESSES` addresses with `limit` instants each; the address that failed
    longest ago is forgotten first.
    """

    def __init__(self, limit: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """Whole seconds until the address may try again; 0 when it may now."""
        with self._lock:
            instants = self._failures.get(site_of(address))
            if instants is None or len(instants) < self.limit:
                return 0
            return max(0, math.ceil(instants[0] + WINDOW_S - self._clock()))

    def record(self, address: str) -> None:
        site = site_of(address)
        with self._lock:
            self._failures.setdefault(site, deque(maxlen=self.limit)).append(self._clock())
            self._failures.move_to_end(site)
            if len(self._failures) > MAX_ADDRESSES:
                self._failures.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._failures.clear()

    def __len__(self) -> int:
        return len(self._failures)
