"""The thread that delivers a run while its training goes on."""

import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from mlserver_client.delivery.lock import DeliveryLock
from mlserver_client.delivery.outbox import Outbox
from mlserver_client.delivery.target import Target
from mlserver_client.delivery.wire import Later, Refusal, Wire
from mlserver_client.forks import renew_after_fork
from mlserver_client.warn import LOG, warn_once

LOOK_EVERY_S = 1.0
BEAT_EVERY_S = 20.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
FLUSH_S = 10.0


class Sender:
    """Started by the first record. Nothing of it reaches the training but the time of one attribute look a call."""

    def __init__(self, run_dir: Path, target: Target, first: Callable[[], object] = lambda: None) -> None:
        """`first` is done in the thread before anything is sent."""
        self._run_dir, self._target, self._first = run_dir, target, first
        self._lock = DeliveryLock(run_dir)
        self._renew()
        renew_after_fork(self)

    def _renew(self) -> None:
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()
        self._wake = threading.Event()
        self._is_ending = False
        self._end_at = float("inf")
        self._refused = ""
        self._outbox: Outbox | None = None

    def after_fork(self) -> None:
        self._lock.forget()
        self._renew()

    def start(self) -> None:
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mlserver-sender", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError as error:  # no more threads, or the interpreter ends
                    warn_once("sender", f"the delivery to {self._target.url} could not start: {error}")

    def is_over(self) -> bool:
        """Was everything delivered, the end of the run too?"""
        has_ended = self._thread is not None and not self._thread.is_alive()
        return has_ended and self._outbox is not None and self._outbox.is_over()

    def flush(self) -> None:
        """At the end of the process: send what is left for at most MLSERVER_FLUSH_S (10), then say what still is."""
        if self._thread is None:
            return
        within_s = flush_s()
        self._end_at = time.monotonic() + within_s
        self._is_ending = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(within_s + 0.5)
        self._say_what_is_left()

    def _say_what_is_left(self) -> None:
        outbox = self._outbox or self._outbox_if_free()
        if outbox is None:
            return  # another process of this run delivers, and says it at its end
        if left := outbox.left():
            why = f" ({self._refused})" if self._refused else ""
            LOG.warning(
                "not delivered to %s%s: %s of %s. `python -m mlserver_client sync %s` delivers it",
                self._target.url, why, left, self._run_dir.name, self._run_dir,
            )  # fmt: skip

    def _run(self) -> None:
        try:
            self._first()
            self._outbox = self._taken_outbox()
            if self._outbox is not None:
                self._deliver(self._outbox)
        except Refusal as refusal:
            self._refused = str(refusal)
            warn_once(f"refusal {self._run_dir}", f"{self._target.url} refuses the run, it stays here: {refusal}")
        except Exception:  # noqa: BLE001 - supervision point: the training goes on, and its files stay
            LOG.exception("the delivery of %s ended; `python -m mlserver_client sync` goes on with it", self._run_dir)

    def _taken_outbox(self) -> Outbox | None:
        """Once this process is the one to deliver; None when the process ends before."""
        while (outbox := self._outbox_if_free()) is None and not self._is_ending:
            self._wake.wait(LOOK_EVERY_S)
        return outbox

    def _outbox_if_free(self) -> Outbox | None:
        return Outbox(self._run_dir, Wire(self._target), is_living=True) if self._lock.take() else None

    def _deliver(self, outbox: Outbox) -> None:
        """Until the process ends and all is said, or its time is over."""
        wait_s, beat_at = FIRST_WAIT_S, time.monotonic() + BEAT_EVERY_S
        while time.monotonic() < self._end_at:
            try:
                if outbox.advance():
                    wait_s, beat_at = FIRST_WAIT_S, time.monotonic() + BEAT_EVERY_S
                    continue
                if self._is_ending:
                    return
                if outbox.is_over():
                    return
                if time.monotonic() >= beat_at:
                    beat_at = time.monotonic() + BEAT_EVERY_S
                    outbox.beat()
                self._wait(LOOK_EVERY_S)
            except (Later, OSError) as error:
                LOG.info("delivery of %s waits: %s", self._run_dir.name, error)
                self._wait(max(getattr(error, "after_s", 0.0), wait_s * random.uniform(0.8, 1.2)))
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _wait(self, seconds: float) -> None:
        if self._is_ending:  # short: the user waits for the process to end
            time.sleep(max(0.0, min(seconds, 1.0, self._end_at - time.monotonic())))
        else:
            self._wake.wait(seconds)


def flush_s() -> float:
    try:
        return max(0.0, float(os.environ.get("MLSERVER_FLUSH_S") or FLUSH_S))
    except ValueError:
        return FLUSH_S
