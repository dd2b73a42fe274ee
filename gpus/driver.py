"""Asks the driver in a thread of its own: a call into a sick driver may never return, and nothing can interrupt it.

Whoever asks either does not wait at all (`ask`) or only so long (`answer`).
"""

import functools
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

from gpus.nvml import open_reader
from gpus.readings import AbsentReader, Reader

# A driver may be loaded while we run.
REOPEN_AFTER_S = 30.0

T = TypeVar("T")


class DriverSilentError(Exception):
    """The driver did not answer in time, so nobody knows what is on the devices."""


class Driver:
    """The driver as one process asks it: one question after the other, in the order they came. Safe in any thread.

    The reader is opened, used and kept by the thread, which starts with the first question and ends with the
    process, also when the driver never answers.
    """

    def __init__(self, open_reader: Callable[[], Reader] = open_reader) -> None:
        self._open_reader = open_reader
        self._reader: Reader = AbsentReader("not opened yet")
        self._opened_at = -REOPEN_AFTER_S
        self._asked_at: float | None = None
        self._questions: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._start_lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def silent_s(self) -> float:
        """Seconds that the question under way has been without an answer; 0 when none is."""
        asked_at = self._asked_at
        return 0.0 if asked_at is None else time.monotonic() - asked_at

    def ask(self, question: Callable[[Reader], T]) -> "Future[T]":
        """Put a question; its answer, or what it raised, comes in the future. Never waits."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(question(self._opened()))
            except Exception as error:  # noqa: BLE001  goes to whoever asked
                future.set_exception(error)

        self._questions.put(work)
        with self._start_lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="driver", daemon=True)
                self._thread.start()
        return future

    def answer(self, question: Callable[[Reader], T], *, within_s: float) -> T:
        """Ask and wait. Raises DriverSilentError when the answer is not there in time; at once when the question
        before it has been out for as long already, so many questions to a silent driver cost one wait."""
        if self.silent_s > within_s:
            raise DriverSilentError(f"the driver has not answered for {self.silent_s:.0f} s")
        future = self.ask(question)
        try:
            return future.result(within_s)
        except TimeoutError as error:
            future.cancel()
            raise DriverSilentError(f"the driver did not answer within {within_s:g} s") from error

    def _serve(self) -> None:
        while True:
            work = self._questions.get()
            self._asked_at = time.monotonic()
            work()
            self._asked_at = None

    def _opened(self) -> Reader:
        """In the thread. A reader without devices is opened anew after a while."""
        now = time.monotonic()
        if isinstance(self._reader, AbsentReader) and now - self._opened_at >= REOPEN_AFTER_S:
            self._opened_at = now
            self._reader = self._open_reader()
        return self._reader


def own_driver() -> Driver:
    """The driver of the calling process, kept; a forked child gets one of its own."""
    return _driver_of(os.getpid())


@functools.lru_cache(maxsize=1)
def _driver_of(pid: int) -> Driver:
    return Driver()
