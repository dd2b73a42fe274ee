"""A child of `serve`: forked from the preloaded process, restarted with back-off when it dies."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import NoReturn

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
    """Pid of a new process that runs `main` and exits; it dies with this one. No thread may run here."""
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
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


class Child:
    """One role. Times are monotonic seconds."""

    def __init__(self, role: str, main: Callable[[], None]) -> None:
        self.role, self._main = role, main
        self.identity: ProcessIdentity | None = None
        self.started_at = 0.0
        self.due_at = 0.0
        self._delay_s = FIRST_DELAY_S

    @property
    def is_running(self) -> bool:
        return self.identity is not None

    def is_due(self) -> bool:
        return not self.is_running and time.monotonic() >= self.due_at

    def start(self) -> None:
        self.identity = ProcessIdentity.of(fork(f"mlserver: {self.role}", self._main))
        self.started_at = time.monotonic()

    def send(self, signum: int) -> None:
        """Not reaped yet, so the pid is still its own."""
        if self.identity is not None:
            os.kill(self.identity.pid, signum)

    def has_ended(self) -> None:
        """Called once it was reaped: the next start is put off, longer each time it did not live long."""
        now = time.monotonic()
        if now - self.started_at >= STEADY_AFTER_S:
            self._delay_s = FIRST_DELAY_S
        self.identity, self.due_at = None, now + self._delay_s
        self._delay_s = min(self._delay_s * 2, LONGEST_DELAY_S)
