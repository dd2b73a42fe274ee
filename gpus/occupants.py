"""Who computes on each device: the processes that the driver lists, with their account and command line."""

from collections.abc import Callable, Mapping
from typing import Any

import psutil

from gpus.models import Gpu, Node
from gpus.readings import GpuProcess
from gpus.telemetry import Look
from mlserver.text import storable

MAX_COMMAND = 1000

Occupants = list[dict[str, Any]]


def occupants_of(look: Look, is_ours: Callable[[int], bool]) -> dict[str, Occupants]:
    """uuid -> its compute processes by pid. Devices that are gone are left out: they keep what was known of them."""
    return {
        uuid: [describe(process, is_ours=is_ours(process.pid)) for process in processes if process.is_compute]
        for uuid, (sample, processes) in look.seen.items()
        if sample is not None
    }


def describe(process: GpuProcess, *, is_ours: bool) -> dict[str, Any]:
    """A process that has ended, or whose facts are not ours to see, has no more than its pid."""
    facts: dict[str, Any] = {"user": "", "command": "", "started_at_s": None}
    try:
        found = psutil.Process(process.pid)
        with found.oneshot():
            facts["started_at_s"] = found.create_time()
            facts["command"] = storable(" ".join(found.cmdline())[:MAX_COMMAND] or found.name())
            facts["user"] = storable(found.username())
    except (psutil.Error, KeyError):
        pass
    return {"pid": process.pid, "used_memory_mib": process.used_memory_mib, "is_ours": is_ours, **facts}


def store(node: Node, found: Mapping[str, Occupants], known: Mapping[str, Occupants]) -> dict[str, Occupants]:
    """Write the rows of devices whose occupants are others than `known`; returns what is known now."""
    for uuid, occupants in found.items():
        if known.get(uuid) != occupants:
            Gpu.objects.filter(node=node, uuid=uuid).update(processes=occupants)
    return {**known, **found}
