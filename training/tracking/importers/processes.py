"""The process that wrote a run, as its `meta.json` names it: by host, number and when the run began."""

import contextlib
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from training.tracking.importers.documents import Document
from training.tracking.spool import number

HIGHEST_PID = 2**22
# Clocks of a machine and its kernel agree within a second or two.
CLOCK_SLACK_S = 5.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Field 22 of /proc/<pid>/stat, counted behind the name of the command.
START_TICKS = 19


def is_lost(meta: Document) -> bool:
    """It was one of this host, and is gone; of other hosts nothing is known."""
    pid = pid_of(meta)
    return pid is not None and is_of_here(meta) and living(pid, meta) is None


def process_columns(meta: Document) -> dict[str, Any]:
    """Columns of its RunProcess: of one that lives here who it is, so its number cannot come to mean another."""
    pid = pid_of(meta)
    if pid is None:
        return {}
    process = living(pid, meta) if is_of_here(meta) else None
    columns: dict[str, Any] = {"pid": pid, "start_ticks": None, "boot_id": ""}
    if process is not None:
        with contextlib.suppress(OSError, LookupError, ValueError):
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            columns |= {"start_ticks": int(fields[START_TICKS]), "boot_id": BOOT_ID.read_text().strip()}
    return columns


def living(pid: int, meta: Document) -> psutil.Process | None:
    """The process of that number, unless it began after the run did: then it is another."""
    created_at = number(meta.get("created_at"))
    try:
        process = psutil.Process(pid)
        is_another = created_at is not None and process.create_time() > created_at + CLOCK_SLACK_S
        has_ended = is_another or process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.Error:
        return None
    return None if has_ended else process


def is_of_here(meta: Document) -> bool:
    return host_of(meta) == socket.gethostname()


def host_of(meta: Document) -> str:
    return text_of(meta, "hostname")[:255]


def pid_of(meta: Document) -> int | None:
    pid = meta.get("pid")
    is_pid = isinstance(pid, int) and not isinstance(pid, bool) and 0 < pid <= HIGHEST_PID
    return pid if is_pid else None


def text_of(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""
