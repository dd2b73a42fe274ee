"""Who was started by a `serve`, on disk, so that the next one of the same home can end what is left of it.

Processes are told apart by identity (pid, start time, boot id), never by pid or name alone. Detached supervisors
are in sessions of their own: they are nobody's leftovers and are never touched here.
"""

import contextlib
import json
import logging
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from mlserver import paths
from mlserver.serving import Refused
from training.execution.identity import ProcessIdentity

log = logging.getLogger(__name__)

GONE_WITHIN_S = 3


def write_record(path: Path, processes: dict[str, ProcessIdentity]) -> None:
    """Replace the record, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps({role: asdict(process) for role, process in processes.items()}))
    draft.replace(path)


def read_record(path: Path) -> dict[str, ProcessIdentity]:
    """Empty when there is none; an unreadable one is said and ignored."""
    try:
        rows = json.loads(path.read_text())
        return {role: ProcessIdentity.from_record(row) for role, row in rows.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("%s cannot be read, processes of an earlier serve may be left: %s", path, error)
        return {}


def family(pid: int) -> list[ProcessIdentity]:
    """`pid` and its descendants in the same session, parents first."""
    parents, sessions = _process_table()
    members = [pid]
    for member in members:  # grows while it is walked
        members += [child for child in parents if parents[child] == member and sessions[child] == sessions.get(pid)]
    return [process for process in map(ProcessIdentity.of, members) if process is not None]


def _process_table() -> tuple[dict[int, int], dict[int, int]]:
    """Parent and session of every process."""
    parents, sessions = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                parents[int(entry.name)], sessions[int(entry.name)] = int(fields[1]), int(fields[3])
    return parents, sessions


def recorded() -> list[ProcessIdentity]:
    """Everybody in the records of this home, serve first, so that it cannot restart the others."""
    return [*read_record(paths.serve_record()).values(), *read_record(paths.qcluster_record()).values()]


def kill(processes: Iterable[ProcessIdentity]) -> list[ProcessIdentity]:
    """SIGKILL those that live; the ones that were signalled."""
    return [process for process in processes if process.send(signal.SIGKILL)]


def end_leftovers() -> int:
    """End what an earlier serve of this home left and forget it; how many processes that were."""
    known = recorded()
    left = kill([*known, *(member for process in known if process.is_alive() for member in family(process.pid))])
    give_up_at = time.monotonic() + GONE_WITHIN_S
    while remaining := [process for process in left if process.is_alive()]:
        if time.monotonic() > give_up_at:
            raise Refused(f"processes of an earlier serve do not end: {[process.pid for process in remaining]}")
        time.sleep(0.02)
    forget()
    return len(left)


def forget() -> None:
    paths.serve_record().unlink(missing_ok=True)
    paths.qcluster_record().unlink(missing_ok=True)
