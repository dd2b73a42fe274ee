"""The loop of `serve`: start the children, restart what dies or is stuck, stop them all in time.

Single-threaded. The signals it waits for are blocked, so none is lost and none interrupts anything; children get
an open mask again right after their fork.
"""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable

from django.db import DatabaseError, connections

from mlserver import paths
from mlserver.serving.children import Child, fork
from mlserver.serving.leftovers import family, forget, kill, recorded, write_record
from training.execution.identity import ProcessIdentity
from training.models import Event

log = logging.getLogger(__name__)

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
TICK_S = 1.0
GRACE_S = 2.0
NOTE_WITHIN_S = 60


class Supervisor:
    """`children` are started in order; `wants_restart` is asked every second and ends the loop when true."""

    def __init__(self, children: list[Child], wants_restart: Callable[[], bool]) -> None:
        self._children = children
        self._wants_restart = wants_restart
        # A signal that was ignored when serve started (nohup, a shell's background job) stays ignored.
        self._stopping = {signum for signum in STOPPING if signal.getsignal(signum) is not signal.SIG_IGN}

    def run(self, when_up: Callable[[], None]) -> bool:
        """Until it is told to stop (False) or `wants_restart` (True); no child is left then."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {*self._stopping, signal.SIGCHLD})
        try:
            self._start_due()
            when_up()
            is_restart = self._watch()
        finally:
            self._stop()
        if is_restart:  # otherwise a second Ctrl-C stays blocked until the process has ended
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return is_restart

    def _watch(self) -> bool:
        while True:
            received = signal.sigtimedwait({*self._stopping, signal.SIGCHLD}, self._pause_s())
            if received is not None and received.si_signo in self._stopping:
                return False
            for child, status in self._reap():
                self._note_end(child, status)
            self._start_due()
            self._end_stuck()
            if self._wants_restart():
                return True

    def _pause_s(self) -> float:
        due = [child.due_at - time.monotonic() for child in self._children if not child.is_running]
        return max(min([TICK_S, *due]), 0.01)

    def _start_due(self) -> None:
        due = [child for child in self._children if child.is_due()]
        if any([child.start() for child in due]):
            self._record()

    def _record(self) -> None:
        known = {"serve": ProcessIdentity.of(os.getpid())}
        known |= {child.role: child.identity for child in self._children}
        living = {role: who for role, who in known.items() if who is not None}
        try:
            write_record(paths.serve_record(), living)
        except OSError as error:  # a full disk must not end the server; parents' deaths end children anyway
            log.warning("%s cannot be written: %s", paths.serve_record(), error)

    def _reap(self) -> list[tuple[Child, int]]:
        """Children that ended, with their exit status (negative: the signal). Reaps adopted processes, too."""
        ended: list[tuple[Child, int]] = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return ended
            if pid == 0:
                return ended
            for child in self._children:
                if child.identity is not None and child.identity.pid == pid:
                    child.has_ended()
                    ended.append((child, os.waitstatus_to_exitcode(status)))

    def _note_end(self, child: Child, status: int) -> None:
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        self._note(f"{child.role} ended {how} and is started again")

    def _end_stuck(self) -> None:
        for child in self._children:
            if child.pulse is not None and child.is_stuck():
                child.pulse.forget()
                self._note(child.pulse.complaint)
                child.send(signal.SIGKILL)

    def _note(self, message: str) -> None:
        """In the log, and as an event by a process of its own: a database that is away must not hold up the watch."""
        log.warning("%s", message)
        try:
            fork("mlserver: note", lambda: write_event(message))
        except OSError as error:
            log.warning("the event was not written: %s", error)

    def _stop(self) -> None:
        """TERM to the children alone, which end what is theirs; after GRACE_S whatever is left is killed."""
        for child in self._children:
            child.send(signal.SIGTERM)
        give_up_at = time.monotonic() + GRACE_S
        while any(child.is_running for child in self._children) and time.monotonic() < give_up_at:
            signal.sigtimedwait({signal.SIGCHLD}, max(give_up_at - time.monotonic(), 0.01))
            self._reap()
        kill([*family(os.getpid())[1:], *(who for who in recorded() if who.pid != os.getpid())])
        with contextlib.suppress(ChildProcessError):
            while any(child.is_running for child in self._children):
                signal.sigtimedwait({signal.SIGCHLD}, 0.1)
                self._reap()
        forget()


def write_event(message: str) -> None:
    """Best effort, bounded in time; runs in a process of its own."""
    signal.alarm(NOTE_WITHIN_S)
    try:
        Event.objects.say_again("Restarted", message)
    except DatabaseError as error:
        log.warning("the event was not written: %s", error)
    finally:
        connections.close_all()
