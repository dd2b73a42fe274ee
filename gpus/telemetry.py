"""Writes what the devices say into their rows, and judges from it who else is on them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from django.db.models import Case, F, Field, Value, When
from django.db.models.functions import Cast
from django.utils import timezone

from gpus.models import SAMPLE_MAX_AGE, Gpu, Node
from gpus.nvml import own_reader
from gpus.readings import GpuProcess, GpuSample, Reader

# A driver keeps a few MiB for itself on an idle device; the smallest CUDA context takes more than this.
IDLE_MEMORY_MIB = 64
QUARANTINE_AT_LEAST = timedelta(seconds=30)
COLUMNS = (
    "is_present", "used_memory_mib", "foreign_memory_mib", "foreign_process_count", "utilization_percent",
    "temperature_c", "power_w",
)  # fmt: skip
GONE: dict[str, Any] = dict.fromkeys(COLUMNS) | {
    "is_present": False, "foreign_memory_mib": 0, "foreign_process_count": 0,
}  # fmt: skip

Values = dict[str, Any]


def sample(
    node: Node,
    reader: Reader,
    is_ours: Callable[[int], bool],
    *,
    reserved_mib: Mapping[str, int] | None = None,
) -> None:
    """Look at each device once and store it: one statement for all devices, one for the node's `agent_seen_at`.

    `is_ours` says whether a pid belongs to a run of this server; `reserved_mib` what runs have reserved, by uuid,
    read before the call. Only the node's agent calls this.
    """
    reserved = reserved_mib or {}
    found = {uuid: _look(reader, uuid, is_ours, reserved.get(uuid, 0)) for uuid in sorted(reader.known_uuids())}
    now = timezone.now()
    if found:
        _store(node, found, now)
    # After the devices: whoever sees a fresh node sees fresh devices.
    Node.objects.filter(pk=node.pk).update(agent_seen_at=now)
    node.agent_seen_at = now


def processes_on(uuid: str, reader: Reader | None = None) -> list[GpuProcess] | None:
    """Who is on the device this moment; None when the driver cannot say or the device is gone."""
    return (reader or own_reader()).processes(uuid)


def foreign_memory_mib(
    used_mib: int | None, foreign: Iterable[GpuProcess], ours: Iterable[GpuProcess], reserved_mib: int
) -> int:
    """Memory held by others.

    At least what their processes are seen to hold, and at least what is used beyond the larger of our processes'
    memory and our reservations. The second counts where the driver cannot list processes or their memory, or lists
    only those of the server's own container. Less than IDLE_MEMORY_MIB unexplained is the driver's own.
    """
    seen = _memory_mib(foreign)
    unexplained = (used_mib or 0) - max(_memory_mib(ours), reserved_mib)
    return max(seen, unexplained if unexplained > IDLE_MEMORY_MIB else 0)


def release_clean_quarantines(node: Node) -> list[Gpu]:
    """End quarantines of at least 30 s on devices whose newest sample shows nobody and no memory in use.

    A device whose driver cannot say how much memory is used stays for an administrator to judge. Returns the
    released devices, for the caller to tell of them and to ask for a scheduling pass.
    """
    now = timezone.now()
    clean = node.gpus.filter(
        quarantined_at__lte=now - QUARANTINE_AT_LEAST,
        sampled_at__gte=now - SAMPLE_MAX_AGE,
        is_present=True,
        used_memory_mib__lte=IDLE_MEMORY_MIB,
        foreign_process_count=0,
    )
    return [gpu for gpu in clean if gpu.release_quarantine()]


def _look(reader: Reader, uuid: str, is_ours: Callable[[int], bool], reserved_mib: int) -> Values:
    seen = reader.sample(uuid)
    if seen is None:
        return GONE
    listed = reader.processes(uuid) or []
    ours = [process for process in listed if is_ours(process.pid)]
    foreign = [process for process in listed if process not in ours]
    return _row(seen) | {
        "foreign_memory_mib": foreign_memory_mib(seen.used_memory_mib, foreign, ours, reserved_mib),
        # A desktop that draws a little is no reason to leave a GPU alone; its memory counts all the same.
        "foreign_process_count": sum(process.is_compute for process in foreign),
    }


def _row(seen: GpuSample) -> Values:
    return {
        "is_present": True,
        "used_memory_mib": seen.used_memory_mib,
        "utilization_percent": seen.utilization_percent,
        "temperature_c": seen.temperature_c,
        "power_w": seen.power_w,
    }


def _store(node: Node, found: Mapping[str, Values], now: datetime) -> None:
    """One UPDATE for all devices, each column chosen by uuid."""
    present = [uuid for uuid, values in found.items() if values["is_present"]]
    sampled_at = Case(When(uuid__in=present, then=Value(now)), default=F("sampled_at"))
    chosen = {column: _by_uuid(column, found) for column in COLUMNS}
    Gpu.objects.filter(node=node, uuid__in=list(found)).update(sampled_at=sampled_at, **chosen)


def _by_uuid(column: str, found: Mapping[str, Values]) -> Cast:
    field = cast("Field[Any, Any]", Gpu._meta.get_field(column))
    whens = [When(uuid=uuid, then=Value(values[column], output_field=field)) for uuid, values in found.items()]
    # PostgreSQL takes a CASE of bare parameters for text, hence the cast.
    return Cast(Case(*whens, output_field=field), output_field=field)


def _memory_mib(processes: Iterable[GpuProcess]) -> int:
    return sum(process.used_memory_mib or 0 for process in processes)
