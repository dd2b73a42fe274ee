"""Processes of a run that outlive its supervisor: found by what they inherited, ended, and looked for on GPUs."""

import os
import time

import psutil

from gpus.driver import DriverSilentError
from gpus.telemetry import users_of
from training.execution.control import Control
from training.execution.identity import ProcessIdentity
from training.execution.supervision import records, tree
from training.models import Run

END_WITHIN_S = 0.3


def remaining_processes(run_id: str) -> dict[int, int]:
    """pid -> start ticks of live processes of the run.

    A process belongs to it when its environment names the run (inherited by every child that does not clear it),
    when it is in the session of the run's command, or when it descends from such a process.
    """
    mark = f"MLSERVER_RUN_ID={run_id}".encode()
    session = session_of(run_id)
    found: dict[int, int] = {}
    for pid in psutil.pids():
        if pid != os.getpid() and (stat := records.read_stat(pid)):
            is_ours = session is not None and stat[2] == session.pid and stat[3] >= session.start_ticks
            if stat[0] not in "ZX" and (is_ours or mark in environment_of(pid)):
                found[pid] = stat[3]
    return found | tree.descendants(*found)


def session_of(run_id: str) -> ProcessIdentity | None:
    """The command, when the session it leads can still be told from another's.

    While a session has members the kernel gives its number to no new process. So when another process has the
    number now, the session is over, and one of that number is somebody else's.
    """
    command = Control(run_id).read("exec")
    if command is None:
        return None
    leader = ProcessIdentity.from_record(command)
    now = ProcessIdentity.of(leader.pid)
    return leader if leader.is_of_this_boot() and now in (None, leader) else None


def environment_of(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []


def end_remaining(run_id: str) -> tuple[int, list[int]]:
    """SIGKILL what is left of the run; (how many processes there were, pids that are still there).

    Waits a moment only: the agent, which watches all runs, calls this. Only a process that the kernel cannot
    interrupt (a dead network drive, a driver) or that is not ours to kill stays.
    """
    ended = tree.kill_all(lambda: remaining_processes(run_id))
    deadline = time.monotonic() + END_WITHIN_S
    while (left := remaining_processes(run_id)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return ended, sorted(left)


def gpus_still_used(run: Run) -> dict[str, str]:
    """uuid -> sentence for each leased device on which the driver still lists a process of the run, or is silent."""
    if not run.gpus:
        return {}
    uuids = list(run.leases.held().values_list("gpu__uuid", flat=True))
    mine = remaining_processes(run.pk)
    said = {}
    for uuid in uuids:
        try:
            listed = users_of(uuid) or []
        except DriverSilentError:
            said[uuid] = f"the driver did not answer when run {run.pk} ended"
            continue
        left = [process.pid for process in listed if process.pid in mine]
        if left:
            said[uuid] = f"process {', '.join(map(str, left))} of ended run {run.pk} still uses it"
    return said
