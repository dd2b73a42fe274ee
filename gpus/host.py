"""The machine's own sample: CPU, memory, and the disk the models are on."""

import logging
import threading
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue

import psutil
from django.conf import settings
from django.utils import timezone

from gpus.models import Node

log = logging.getLogger(__name__)

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


class HostSampler:
    """Looks in a thread of its own: the file system of MODELS_DIR may be a network's, which answers or does not."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[None] = SimpleQueue()
        self._answers: SimpleQueue[HostSample | None] = SimpleQueue()
        self._is_away = False
        self._thread: threading.Thread | None = None

    def sample(self, within_s: float = 0.2) -> HostSample | None:
        """A new sample; None while the file system does not answer, however often it is asked."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._answer, name="host sampler", daemon=True)
            self._thread.start()
        if not self._is_away:
            self._asked.put(None)
        try:
            found = self._answers.get(timeout=0 if self._is_away else within_s)
        except Empty:
            self._is_away = True
            return None
        self._is_away = False
        return found

    def _answer(self) -> None:
        while True:
            self._asked.get()
            try:
                self._answers.put(sample_host())
            except OSError as error:
                log.warning("the host cannot be sampled: %s", error)
                self._answers.put(None)


def store_host_sample(node: Node, sampler: HostSampler) -> None:
    """Into the row of this machine; only its agent calls this."""
    if sample := sampler.sample():
        Node.objects.filter(pk=node.pk).update(**asdict(sample))


def newest_host_sample(node_name: str) -> HostSample:
    """What the agent last stored; looks itself, for a tenth of a second, when it has not stored anything yet."""
    row = Node.objects.filter(name=node_name).exclude(host_sampled_at=None).values(*HostSample.__annotations__).first()
    return HostSample(**row) if row else sample_host(FIRST_LOOK_S)


def _existing(path: Path) -> Path:
    """The directory, or where it would be made."""
    return next(place for place in (path, *path.parents) if place.exists())
