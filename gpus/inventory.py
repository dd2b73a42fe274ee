"""Keeps the rows of this machine and its devices in step with what is there."""

import socket
from pathlib import Path

import psutil
from django.conf import settings

from gpus.models import Gpu, Node
from gpus.readings import GpuInfo, Reader

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
MIB = 1024**2


def register_node() -> Node:
    """The row of this machine, named by its host name; made or updated. Two callers at once get the same row."""
    facts = {
        "boot_id": BOOT_ID.read_text().strip(),
        "cpu_slots": settings.CPU_SLOTS,
        "memory_mib": machine_memory_mib(),
    }
    node, _ = Node.objects.update_or_create(name=socket.gethostname(), defaults=facts)
    return node


def register_gpus(node: Node, reader: Reader) -> list[GpuInfo]:
    """Rows for the devices `reader` lists, found again by uuid wherever they sit now; all others are not present.

    Safe at any time and by two processes at once: each device is one upsert. Switches and quarantines stay.
    """
    devices = reader.devices()
    rows = [
        Gpu(
            node=node,
            uuid=device.uuid,
            index=device.index,
            name=device.name[:128],
            memory_mib=device.memory_mib,
            is_simulated=device.is_simulated,
            is_present=True,
        )
        for device in sorted(devices, key=lambda device: device.uuid)  # one order for all: no deadlock
    ]
    Gpu.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["uuid"],
        update_fields=["node", "index", "name", "memory_mib", "is_simulated", "is_present"],
    )
    listed = [device.uuid for device in devices]
    node.gpus.filter(is_present=True).exclude(uuid__in=listed).update(is_present=False)
    Node.objects.filter(pk=node.pk).update(driver_version=reader.driver_version()[:64])
    return devices


def machine_memory_mib() -> int:
    """Memory that tasks may reserve: the machine's, or the limit of the control group the server runs in."""
    total_bytes: int = psutil.virtual_memory().total
    try:
        limit = CGROUP_LIMIT.read_text().strip()
    except OSError:
        limit = "max"
    return min(total_bytes, int(limit)) // MIB if limit.isdigit() else total_bytes // MIB
