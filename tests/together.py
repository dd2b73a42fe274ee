"""Call things at the same moment, each in its own thread with its own database connection."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def together(*calls: Callable[[], T]) -> list[T]:
    """What each call returned, in the order given. Needs a test with real transactions."""
    barrier = Barrier(len(calls), timeout=10)

    def run(call: Callable[[], T]) -> T:
        try:
            barrier.wait()
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
