"""Keeps the rows of this machine and its devices in step with what is there."""

import socket
from dataclasses import dataclass
from pathlib import Path

import psutil
from django.conf import settings

from gpus.models import Gpu, Node
from gpus.readings import GpuInfo, Reader
from mlserver.home import write_once

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
MIB = 1024**2


def register_node() -> Node:
    """The row of this home's machine, made or updated. Two callers at once get the same row."""
    facts = {
        "boot_id": BOOT_ID.read_text().strip(),
        "cpu_slots": settings.CPU_SLOTS,
        "memory_mib": machine_memory_mib(),
    }
    node, _ = Node.objects.update_or_create(name=node_name(), defaults=facts)
    return node


def node_name() -> str:
    """The host name at the first start, kept in the home from then on. Raises OSError when it cannot be kept.

    The state of the home goes on under another host name (a container made anew, an address given out anew); under
    a new name its runs would belong to a node that nobody watches.
    """
    path: Path = settings.MLSERVER_HOME / "node"
    write_once(path, socket.gethostname())
    return path.read_text().strip() or socket.gethostname()


@dataclass(frozen=True)
class Listing:
    """The devices that answered, and the driver's version."""

    devices: list[GpuInfo]
    driver_version: str


def list_devices(reader: Reader) -> Listing:
    """Ask the driver; touches no database."""
    return Listing(reader.devices(), reader.driver_version())


def register_gpus(node: Node, listing: Listing) -> None:
    """Rows for the listed devices, found again by uuid wherever they sit now; all others are not present.

    Safe at any time and by two processes at once: each device is one upsert. Switches and quarantines stay;
    FLOWLINE_GPUS says which devices are on when they are first seen.
    """
    rows = [
        Gpu(
            node=node,
            uuid=device.uuid,
            index=device.index,
            name=device.name[:128],
            memory_mib=device.memory_mib,
            is_simulated=device.is_simulated,
            is_present=True,
            is_enabled=settings.FLOWLINE_GPUS is None or device.index in settings.FLOWLINE_GPUS,
        )
        for device in sorted(listing.devices, key=lambda device: device.uuid)  # one order for all: no deadlock
    ]
    Gpu.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["uuid"],
        update_fields=["node", "index", "name", "memory_mib", "is_simulated", "is_present"],
    )
    listed = [device.uuid for device in listing.devices]
    node.gpus.filter(is_present=True).exclude(uuid__in=listed).update(is_present=False)
    Node.objects.filter(pk=node.pk).update(driver_version=listing.driver_version[:64])


def machine_memory_mib() -> int:
    """Memory that tasks may reserve: the machine's, or the limit of the control group the server runs in."""
    total_bytes: int = psutil.virtual_memory().total
    try:
        limit = CGROUP_LIMIT.read_text().strip()
    except OSError:
        limit = "max"
    return min(total_bytes, int(limit)) // MIB if limit.isdigit() else total_bytes // MIB
