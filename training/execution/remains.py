"""Processes of a run that outlive its supervisor: found by what they inherited, ended, and looked for on GPUs."""

import os
import time

import psutil

from gpus.telemetry import processes_on
from training.execution.control import Control
from training.execution.identity import ProcessIdentity
from training.execution.supervision import records, tree
from training.models import Run

END_WITHIN_S = 5.0


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
    for pid in list(found):
        found |= tree.descendants(pid)
    return found


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


def end_remaining(run_id: str) -> int:
    """SIGKILL what is left of the run until nothing is; returns how many processes there were.

    Raises TimeoutError when some process does not go away, which only an uninterruptible one can.
    """
    ended: set[tuple[int, int]] = set()
    deadline = time.monotonic() + END_WITHIN_S
    while remaining := remaining_processes(run_id):
        for pid, start_ticks in remaining.items():
            tree.send(pid, start_ticks, 9)
        ended |= set(remaining.items())
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {sorted(remaining)} of run {run_id} survive SIGKILL")
        time.sleep(0.01)
    return len(ended)


def gpus_still_used(run: Run) -> dict[str, str]:
    """uuid -> sentence for each leased device on which the driver still lists a process of the run."""
    if not run.gpus:
        return {}
    uuids = list(run.leases.held().values_list("gpu__uuid", flat=True))
    mine = remaining_processes(run.pk)
    said = {}
    for uuid in uuids:
        left = [process.pid for process in processes_on(uuid) or [] if process.pid in mine]
        if left:
            said[uuid] = f"process {', '.join(map(str, left))} of ended run {run.pk} still uses it"
    return said
