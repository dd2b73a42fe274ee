"""The machine's own sample: CPU, memory, and the disk the models are on."""

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import psutil
from django.conf import settings
from django.utils import timezone

from gpus.models import Node

# Of a process that has not looked before: CPU load is what happened between two looks.
FIRST_LOOK_S = 0.1


@dataclass(frozen=True)
class HostSample:
    """The columns of a Node; the disk is the file system of MODELS_DIR."""

    host_sampled_at: datetime
    cpu_usage_percent: float
    used_memory_bytes: int
    total_memory_bytes: int
    disk_free_bytes: int
    disk_total_bytes: int


def sample_host(interval_s: float | None = None) -> HostSample:
    """Look once; CPU load since the last look of this thread, or over `interval_s`, for which it then waits."""
    memory = psutil.virtual_memory()
    disk = psutil.disk_usage(str(_existing(settings.MODELS_DIR)))
    return HostSample(
        host_sampled_at=timezone.now(),
        cpu_usage_percent=min(psutil.cpu_percent(interval_s), 100.0),
        # What programs could not have at once: file caches are not used memory.
        used_memory_bytes=memory.total - memory.available,
        total_memory_bytes=memory.total,
        disk_free_bytes=disk.free,
        disk_total_bytes=disk.total,
    )


def store_host_sample(node: Node) -> None:
    """Into the row of this machine; only its agent calls this."""
    Node.objects.filter(pk=node.pk).update(**asdict(sample_host()))


def newest_host_sample(node_name: str) -> HostSample:
    """What the agent last stored; looks itself, for a tenth of a second, when it has not stored anything yet."""
    row = Node.objects.filter(name=node_name).exclude(host_sampled_at=None).values(*HostSample.__annotations__).first()
    return HostSample(**row) if row else sample_host(FIRST_LOOK_S)


def _existing(path: Path) -> Path:
    """The directory, or where it would be made."""
    return next(place for place in (path, *path.parents) if place.exists())
