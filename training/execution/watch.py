"""Watching supervisors: a pidfd of each in the agent's selector, and what follows from the records they leave."""

import logging
import os
import selectors
import time
from collections import deque
from dataclasses import dataclass

from django.utils import timezone

from mlserver.prepared import Prepared
from training.execution.control import Control, ranks_of
from training.execution.finish import ask_for_finish, instant
from training.execution.identity import ProcessIdentity
from training.execution.remains import end_remaining
from training.execution.supervision import records
from training.models import ExitClass, Run, RunProcess, RunStatus

log = logging.getLogger(__name__)

GIVE_UP_S = 30.0
# The signs of one end come within a moment of each other.
MOST_ASKED = 64

TO_NOTE = Prepared(lambda pk: Run.objects.filter(pk=pk)[:1])


@dataclass
class Watched:
    """One supervisor that is alive, as far as we know."""

    control: Control
    supervisor: ProcessIdentity
    pidfd: int


class Watch:
    """All supervisors of this node that were alive when last looked at. Used by the agent's thread only."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self.selector = selector
        self.watched: dict[tuple[str, int], Watched] = {}
        self.running: set[str] = set()
        self.lost_at: dict[str, float] = {}
        self.asked: deque[Control] = deque(maxlen=MOST_ASKED)

    def look_at(self, run_id: str, ranks: tuple[int, ...] | None = None) -> None:
        """Act on the records of a run: attach to its supervisors, note its start, ask for its finish."""
        for rank in ranks_of(run_id) if ranks is None else ranks:
            self.look_at_rank(Control(run_id, rank))

    def look_at_rank(self, control: Control) -> None:
        if control.read("exit") is not None:
            self.detach(control)
            self.ask_for_finish(control)
            return
        self.note_start(control)
        if (control.run_id, control.rank) not in self.watched:
            self.attach(control)

    def attach(self, control: Control) -> None:
        """Watch the run's supervisor; one that is gone without an exit record is dealt with at once."""
        supervisor = control.supervisor() or supervisor_of_row(control)
        if supervisor is None:
            return
        pidfd = supervisor.open_pidfd()
        if pidfd is None:
            if control.read("exit") is not None:
                self.ask_for_finish(control)
            else:
                self.supervisor_lost(control, supervisor)
            return
        watched = Watched(control, supervisor, pidfd)
        self.watched[control.run_id, control.rank] = watched
        self.selector.register(pidfd, selectors.EVENT_READ, watched)

    def detach(self, control: Control) -> None:
        self.running.discard(control.run_id)
        if watched := self.watched.pop((control.run_id, control.rank), None):
            self.selector.unregister(watched.pidfd)
            os.close(watched.pidfd)

    def supervisor_ended(self, watched: Watched) -> None:
        """A pidfd became readable."""
        self.detach(watched.control)
        if watched.control.read("exit") is not None:
            self.ask_for_finish(watched.control)
        else:
            self.supervisor_lost(watched.control, watched.supervisor)

    def ask_for_finish(self, control: Control) -> None:
        """Once, however many signs there are of its end: what gets lost is asked for again with a later tick."""
        if control not in self.asked:
            self.asked.append(control)
            ask_for_finish(control.run_id)

    def supervisor_lost(self, control: Control, supervisor: ProcessIdentity) -> None:
        """Gone without an exit record: end what is left of the run and write the record in its name.

        Processes that survive SIGKILL are tried again with each tick; after GIVE_UP_S the run ends without them.
        """
        command, said = control.read("exec"), control.supervisor_said()
        if not supervisor.is_of_this_boot():
            record = exit_record(ExitClass.NODE_LOST, "the machine was restarted while it ran")
        elif command is None and said:
            record = exit_record(ExitClass.LAUNCH_FAILED, f"the supervisor could not start the command: {said}")
        else:
            ended, left = end_remaining(control.run_id)
            lost_at = self.lost_at.setdefault(control.run_id, time.monotonic())
            if left and time.monotonic() - lost_at < GIVE_UP_S:
                return
            record = exit_record(ExitClass.KILLED, how_it_was_lost(ended, left))
        if command is not None:
            record |= {"pid": command["pid"], "started_at": command["started_at"]}
        control.write_exit(record)
        self.lost_at.pop(control.run_id, None)
        self.ask_for_finish(control)

    def note_start(self, control: Control) -> None:
        """starting -> running, once per run; the record of rank 0 counts."""
        command = control.read("exec") if control.rank == 0 and control.run_id not in self.running else None
        if command is None:
            return
        run = TO_NOTE.first(control.run_id)
        started_at = instant(command["started_at"]) or timezone.now()
        if run is None or run.has_ended:
            return
        if run.status == RunStatus.STARTING and run.mark_running(started_at=started_at):
            RunProcess.objects.filter(run=run, rank=0).update(
                pid=command["pid"],
                start_ticks=command["start_ticks"],
                boot_id=command["boot_id"],
                started_at=started_at,
            )
        self.running.add(control.run_id)

    def note_heartbeats(self) -> None:
        """One statement for all runs whose supervisors live."""
        run_ids = {watched.control.run_id for watched in self.watched.values()}
        if run_ids:
            Run.objects.filter(pk__in=run_ids).active().update(heartbeat_at=timezone.now(), is_stale=False)

    def supervisors(self) -> dict[str, list[int]]:
        """Pids by run, of the runs whose command was started."""
        found: dict[str, list[int]] = {}
        for (run_id, _), watched in self.watched.items():
            if run_id in self.running:
                found.setdefault(run_id, []).append(watched.supervisor.pid)
        return found

    def is_ours(self, pid: int) -> bool:
        """Does this process descend from one of our supervisors?"""
        supervisors = {watched.supervisor.pid for watched in self.watched.values()}
        while pid > 1 and (stat := records.read_stat(pid)):
            if pid in supervisors:
                return True
            pid = stat[1]
        return False


def supervisor_of_row(control: Control) -> ProcessIdentity | None:
    """The identity that the launch wrote into the database, for a supervisor that left no record."""
    row = RunProcess.objects.filter(run_id=control.run_id, rank=control.rank).exclude(supervisor_pid=None).first()
    if row is None or row.supervisor_pid is None:
        return None
    return ProcessIdentity(row.supervisor_pid, row.supervisor_start_ticks or 0, row.boot_id)


def how_it_was_lost(ended: int, left: list[int]) -> str:
    if left:
        return f"its supervisor was killed; process {', '.join(map(str, left))} survives SIGKILL"
    return f"its supervisor was killed; {ended} remaining processes were ended"


def exit_record(exit_class: ExitClass, error: str) -> dict[str, object]:
    return {"class": exit_class.value, "error": error, "exit_code": None, "exit_signal": None, "ended_at": time.time()}
