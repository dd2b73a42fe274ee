"""Which process a run belongs to: pid alone is no identity, it is given again."""

import os
import platform
import socket
from pathlib import Path
from typing import Any


def this_process() -> dict[str, Any]:
    """`pid`, and on Linux `start_ticks` and `boot_id`, which together name one process of all time.

    `pid_namespace` tells two containers of one machine apart, whose processes have the same numbers.
    """
    pid = os.getpid()
    found = {"pid": pid, "start_ticks": start_ticks(pid), "boot_id": boot_id(), "pid_namespace": pid_namespace()}
    return {name: value for name, value in found.items() if value is not None}


def facts() -> dict[str, Any]:
    return {"python": platform.python_version(), "platform": platform.platform(), "hostname": socket.gethostname()}


def is_gone(meta: dict[str, Any]) -> bool:
    """Has the process that `meta` names certainly ended? Never said of another host's."""
    if meta.get("hostname") != socket.gethostname() or not isinstance(meta.get("pid"), int):
        return False
    if meta.get("boot_id") not in (None, boot_id()):
        return True
    ticks = start_ticks(meta["pid"])
    return ticks is None or meta.get("start_ticks") not in (None, ticks)


def start_ticks(pid: int) -> int | None:
    """When the process began, in clock ticks since boot; None when it is gone or this is no Linux."""
    try:
        # The command name stands in parentheses and may hold anything: fields begin after the last one.
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def pid_namespace() -> int | None:
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return None


def boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
