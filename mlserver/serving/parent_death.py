"""Processes that die with their parent (Linux: PR_SET_PDEATHSIG), so a kill -9 leaves nothing that takes tasks."""

import ctypes
import os
import signal
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int) -> None:
    """SIGKILL for this process when `parent`, which forked it, is gone; at once if it is gone already."""
    if _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)


class ForkGuard:
    """Makes children and grandchildren that Python forks from here die with their parents.

    Not deeper: below the workers of a qcluster come the supervisors, which must outlive everything.
    `on_fork` runs in each new process with its depth, 1 for a child.
    """

    def __init__(self, depth: int, on_fork: Callable[[int], None]) -> None:
        self._deepest, self._on_fork = depth, on_fork
        self._depth, self._parent = 0, os.getpid()
        os.register_at_fork(before=self._before, after_in_child=self._in_child)

    def _before(self) -> None:
        self._parent = os.getpid()

    def _in_child(self) -> None:
        self._depth += 1
        if self._depth <= self._deepest:
            die_with(self._parent)
            self._on_fork(self._depth)
