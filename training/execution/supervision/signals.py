"""Signals as bytes in a pipe, which a loop polls beside all else."""

from __future__ import annotations

import os
from _signal import SIG_IGN, SIG_SETMASK, SIGCHLD, SIGHUP, SIGINT, SIGTERM, pthread_sigmask, set_wakeup_fd, signal


def signal_pipe() -> int:
    """Its reading end: a byte for each SIGCHLD and SIGTERM. They were blocked by whoever started us."""
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    set_wakeup_fd(writing, warn_on_full_buffer=False)
    for signum in (SIGCHLD, SIGTERM):
        signal(signum, lambda *_: None)
    for signum in (SIGINT, SIGHUP):
        signal(signum, SIG_IGN)
    pthread_sigmask(SIG_SETMASK, set())
    return reading
