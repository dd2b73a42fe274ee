"""Wrong keys per address: after ten in a minute the address is told to wait."""

import ipaddress
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from mlserver.accounts.peers import parse_address

WINDOW_S = 60.0
MAX_ADDRESSES = 4096
IPV6_SITE_BITS = 64


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
            instants = self._failures.get(_site(address))
            if instants is None or len(instants) < self.limit:
                return 0
            return max(0, math.ceil(instants[0] + WINDOW_S - self._clock()))

    def record(self, address: str) -> None:
        site = _site(address)
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


def _site(address: str) -> str:
    """One IPv6 site owns 2**64 addresses, so it counts as one."""
    parsed = parse_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, IPV6_SITE_BITS), strict=False))
    return str(parsed or address)
