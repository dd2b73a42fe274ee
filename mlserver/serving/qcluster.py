"""The qcluster child: the parent process of django-q2, and what tells whether its tasks are still executed."""

import logging
import os
import signal
import time
from pathlib import Path

import setproctitle
from django.db import DatabaseError, connections
from django_q.brokers import get_broker
from django_q.cluster import Cluster

from mlserver import paths
from mlserver.heartbeat import STALE_AFTER_S
from mlserver.serving.leftovers import family, kill, write_record
from mlserver.serving.parent_death import ForkGuard
from mlserver.wakeup import notify
from training.execution.identity import ProcessIdentity

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
NUDGE_EVERY_S = 0.1
HANDLED = (signal.SIGTERM, signal.SIGCHLD)


def run() -> None:
    """Until SIGTERM, or until one of django-q2's processes died; then `serve` begins afresh with all of them.

    django-q2 replaces a killed worker or monitor by itself, but the lock of the queue that the dead one was
    waiting on is never released, so the replacement waits for ever.
    """
    release_claims()
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    ForkGuard(depth=2, on_fork=_in_fork)
    cluster = Cluster()  # takes SIGINT for itself, which a terminal sends to everybody
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cluster.start()
    setproctitle.setproctitle("qcluster parent")
    members = family(os.getpid())[1:]
    write_record(paths.qcluster_record(), {f"qcluster-{number}": who for number, who in enumerate(members)})
    while True:
        received = signal.sigtimedwait(HANDLED, LOOK_EVERY_S)
        if received is not None and received.si_signo == signal.SIGTERM:
            return _stop(cluster)
        if dead := [process.pid for process in members if not process.is_alive()]:
            kill(_still_there(members))
            log.warning("process %s of the qcluster died", dead)
            raise SystemExit(1)


def release_claims() -> None:
    """An earlier qcluster of this home is dead now; what it had claimed need not wait out its lock."""
    try:
        if freed := get_broker().release_claims():
            log.warning("%s queued tasks of an earlier qcluster are delivered again", freed)
    except DatabaseError as error:
        log.warning("the queue cannot be read yet: %s", error)
    finally:
        connections.close_all()


def _in_fork(depth: int) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
    if depth == 1:
        setproctitle.setproctitle("qcluster sentinel")


def _still_there(members: list[ProcessIdentity]) -> list[ProcessIdentity]:
    """Those recorded, and the replacements the sentinel has made meanwhile."""
    return [*members, *family(os.getpid())[1:]]


def _stop(cluster: Cluster) -> None:
    """Let a running task end; the pusher is nudged because it looks at the stop event between two waits only."""
    cluster.stop_event.set()
    while cluster.sentinel.is_alive():
        notify(paths.queue_fifo())
        cluster.sentinel.join(NUDGE_EVERY_S)


class Pulse:
    """Tells a qcluster that is stuck from one with nothing to do, by the two files of mlserver.heartbeat."""

    complaint = "the qcluster executes no tasks, ending it"

    def __init__(self) -> None:
        self._asked = self._beat = 0
        self._unanswered_since: float | None = None

    def is_stuck(self) -> bool:
        """A beat was queued more than STALE_AFTER_S ago and none was executed since. Call about every second."""
        asked, beat = touched_ns(paths.qcluster_asked()), touched_ns(paths.qcluster_beat())
        if beat != self._beat:
            self._unanswered_since = None
        elif asked != self._asked and self._unanswered_since is None:
            self._unanswered_since = time.monotonic()
        self._asked, self._beat = asked, beat
        return self._unanswered_since is not None and time.monotonic() - self._unanswered_since > STALE_AFTER_S

    def forget(self) -> None:
        """A new qcluster gets the whole time again."""
        self._unanswered_since = None


def touched_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
