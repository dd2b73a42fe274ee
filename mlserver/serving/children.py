"""A child of `serve`: forked from the preloaded process, restarted with back-off when it dies."""

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import NoReturn, Protocol

import setproctitle

from mlserver.serving.parent_death import die_with
from training.execution.identity import ProcessIdentity

log = logging.getLogger(__name__)

# Sent to the whole foreground group by a terminal: serve alone decides what they mean.
IGNORED = (signal.SIGINT, signal.SIGHUP)
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 4.0
# A child that lived this long had a working start, so its next death is a new story.
STEADY_AFTER_S = 60


def fork(title: str, main: Callable[[], None]) -> int:
    """Pid of a new process that runs `main` and exits; it dies with this one. No thread may run here.

    Raises OSError when the machine has no room for one more process.
    """
    parent = os.getpid()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a reader that has gone is no reason to start nothing
            stream.flush()
    pid = os.fork()
    if pid == 0:
        _run(parent, title, main)
    return pid


def _run(parent: int, title: str, main: Callable[[], None]) -> NoReturn:
    status = 1
    try:
        die_with(parent)
        setproctitle.setproctitle(title)
        for signum in IGNORED:
            signal.signal(signum, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        main()
        status = 0
    except SystemExit as exit_:
        status = exit_.code if isinstance(exit_.code, int) else 1
    except BaseException:  # a forked process must never return into the code of its parent
        log.exception("%s ended by an error", title)
    finally:
        logging.shutdown()
        os._exit(status)


class Pulse(Protocol):
    """Tells whether a child that runs still does its work; `complaint` is said when it does not."""

    complaint: str

    def is_stuck(self) -> bool: ...

    def forget(self) -> None: ...


class Child:
    """One role. Times are monotonic seconds."""

    def __init__(self, role: str, main: Callable[[], None], pulse: Pulse | None = None) -> None:
        self.role, self._main, self.pulse = role, main, pulse
        self.identity: ProcessIdentity | None = None
        self.started_at = 0.0
        self.due_at = 0.0
        self._delay_s = FIRST_DELAY_S

    @property
    def is_running(self) -> bool:
        return self.identity is not None

    def is_due(self) -> bool:
        return not self.is_running and time.monotonic() >= self.due_at

    def start(self) -> bool:
        """False when the machine has no room for it; the next try is put off then."""
        self.started_at = time.monotonic()
        if self.pulse is not None:
            self.pulse.forget()
        try:
            self.identity = _identified(fork(f"mlserver: {self.role}", self._main))
        except OSError as error:
            log.warning("%s was not started: %s", self.role, error)
            self.has_ended()
        return self.is_running

    def is_stuck(self) -> bool:
        return self.is_running and self.pulse is not None and self.pulse.is_stuck()

    def send(self, signum: int) -> None:
        """Not reaped yet, so the pid is still its own."""
        if self.identity is not None:
            os.kill(self.identity.pid, signum)

    def has_ended(self) -> None:
        """Called once it was reaped, or not born: the next start is put off, longer each time it did not live long."""
        now = time.monotonic()
        if now - self.started_at >= STEADY_AFTER_S:
            self._delay_s = FIRST_DELAY_S
        self.identity, self.due_at = None, now + self._delay_s
        self._delay_s = min(self._delay_s * 2, LONGEST_DELAY_S)


def _identified(pid: int) -> ProcessIdentity:
    """Raises OSError, and ends the process, when it cannot be told apart: nobody would know it as running."""
    try:
        identity = ProcessIdentity.of(pid)
        if identity is None:
            raise OSError(f"/proc/{pid} cannot be read")
    except OSError:
        os.kill(pid, signal.SIGKILL)
        raise
    return identity
