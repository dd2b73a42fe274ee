"""Runs outside the queue: which of them have lost their process, and of which nothing is heard."""

import socket
from datetime import timedelta
from enum import Enum, auto
from pathlib import Path

from django.db.models import Q
from django.utils import timezone

from training.execution.identity import ProcessIdentity, boot_id
from training.models import ExitClass, Run, RunProcess, RunStatus
from training.models.run import PROCESS_NOT_FOUND

# The SDK is heard of every 20 s; a run may miss three beats.
STALE_AFTER = timedelta(seconds=75)


class Seen(Enum):
    """What can be said of a process from this machine."""

    ALIVE = auto()
    GONE = auto()
    UNKNOWN = auto()


def check_outside_runs() -> tuple[int, int]:
    """End the runs outside the queue whose process is gone from this machine; (looked at, ended).

    Of one that works on another machine, or whose process nobody named, only its silence is noted (`is_stale`), and
    taken back when it is heard of again. Safe to call at any time, several times at once.
    """
    runs = list(Run.objects.active().outside().prefetch_related("processes"))
    seen = {run.pk: seen_run(run) for run in runs}
    now = timezone.now()
    living = [run_id for run_id, what in seen.items() if what is Seen.ALIVE]
    unknown = [run_id for run_id, what in seen.items() if what is Seen.UNKNOWN]
    if living:
        Run.objects.active().filter(pk__in=living).update(heartbeat_at=now, is_stale=False)
    if unknown:
        silent = Q(heartbeat_at__lt=now - STALE_AFTER) | Q(heartbeat_at=None, created_at__lt=now - STALE_AFTER)
        Run.objects.active().filter(silent, pk__in=unknown, is_stale=False).update(is_stale=True)
    return len(runs), sum(end_lost(run) for run in runs if seen[run.pk] is Seen.GONE)


def end_lost(run: Run) -> bool:
    """False when somebody else ended it meanwhile."""
    if not run.finish(RunStatus.FAILED, ExitClass.KILLED, PROCESS_NOT_FOUND):
        return False
    run.processes.filter(ended_at=None).update(ended_at=timezone.now())
    return True


def seen_run(run: Run) -> Seen:
    """GONE only when all its processes are."""
    seen = {seen_process(run.host, process) for process in run.processes.all() if process.pid}
    if Seen.ALIVE in seen:
        return Seen.ALIVE
    return Seen.GONE if seen == {Seen.GONE} else Seen.UNKNOWN


def seen_process(host: str, process: RunProcess) -> Seen:
    """`host`: where it works, empty when nobody said. A pid means nothing on another machine, or after a restart."""
    is_here = host == socket.gethostname()
    if host and not is_here:
        return Seen.UNKNOWN
    if process.boot_id and process.boot_id != boot_id():
        return Seen.GONE if is_here else Seen.UNKNOWN
    if process.boot_id and process.start_ticks is not None:
        who = ProcessIdentity(process.pid or 0, process.start_ticks, process.boot_id)
        return Seen.ALIVE if who.is_alive() else Seen.GONE
    if not is_here:
        return Seen.UNKNOWN
    return Seen.ALIVE if exists(process.pid or 0) else Seen.GONE


def exists(pid: int) -> bool:
    """Whoever it is: of runs that the original library made no more than the number is known."""
    who = ProcessIdentity.of(pid)
    return who is not None and who.is_alive()


def pid_namespace() -> int:
    """Which processes our numbers are those of: two containers of one machine share its boot id, not its pids."""
    return Path("/proc/self/ns/pid").stat().st_ino
