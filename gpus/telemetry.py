"""Writes what the devices say into their rows, and judges from it who else is on them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.db.models import Case, F, Field, Value, When
from django.db.models.functions import Cast
from django.utils import timezone

from gpus.availability import IDLE_MEMORY_MIB
from gpus.driver import own_driver
from gpus.models import SAMPLE_MAX_AGE, SILENT_AFTER, Gpu, Node
from gpus.readings import GpuProcess, GpuSample, Reader

QUARANTINE_AT_LEAST = timedelta(seconds=30)
ANSWER_WITHIN_S = 2.0
COLUMNS = (
    "is_present", "used_memory_mib", "foreign_memory_mib", "foreign_process_count", "utilization_percent",
    "temperature_c", "power_w", "memory_utilization_percent", "power_limit_w", "sm_clock_mhz", "memory_clock_mhz",
    "performance_state", "fan_speed_percent",
)  # fmt: skip
GONE: dict[str, Any] = dict.fromkeys(COLUMNS) | {
    "is_present": False, "foreign_memory_mib": 0, "foreign_process_count": 0, "performance_state": "",
}  # fmt: skip

Values = dict[str, Any]


@dataclass(frozen=True)
class Look:
    """What the driver said of each device, by uuid: a sample (None: gone) and who is on it. Begun at `at`."""

    at: datetime
    seen: Mapping[str, tuple[GpuSample | None, list[GpuProcess]]]


def look(reader: Reader) -> Look:
    """Ask the driver about each device once. Touches no database; takes as long as the driver does."""
    now = timezone.now()
    return Look(now, {uuid: (reader.sample(uuid), reader.processes(uuid) or []) for uuid in reader.known_uuids()})


def store(
    node: Node, look: Look, is_ours: Callable[[int], bool], *, reserved_mib: Mapping[str, int] | None = None
) -> dict[str, Values]:
    """Write a look into the rows of its devices: one statement, none without devices. Returns what was written.

    `is_ours` says whether a pid belongs to a run of this server; `reserved_mib` what runs had reserved, by uuid,
    before the look. Only the node's agent calls this.
    """
    reserved = reserved_mib or {}
    found = {
        uuid: _values(sample, processes, is_ours, reserved.get(uuid, 0))
        for uuid, (sample, processes) in sorted(look.seen.items())
    }
    if found:
        _store(node, found, look.at)
    return found


def note_alive(node: Node) -> bool:
    """The agent of `node` is there; True when it had not been heard of, so a scheduling pass is worth while."""
    was_away, now = not node.is_reporting, timezone.now()
    Node.objects.filter(pk=node.pk).update(agent_seen_at=now)
    node.agent_seen_at = now
    return was_away


def note_gone(node: Node) -> None:
    """The agent of `node` ends: nothing is placed there until it is heard of again."""
    Node.objects.filter(pk=node.pk).update(agent_seen_at=timezone.now() - SILENT_AFTER)


def users_of(uuid: str) -> list[GpuProcess] | None:
    """Who is on the device this moment; None when the driver cannot say or the device is gone.

    Raises DriverSilentError after 2 s without an answer, and at once when an earlier question has waited as long.
    """
    return own_driver().answer(lambda reader: reader.processes(uuid), within_s=ANSWER_WITHIN_S)


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


def _values(
    sample: GpuSample | None, processes: list[GpuProcess], is_ours: Callable[[int], bool], reserved_mib: int
) -> Values:
    if sample is None:
        return GONE
    ours = [process for process in processes if is_ours(process.pid)]
    foreign = [process for process in processes if process not in ours]
    return _row(sample) | {
        "foreign_memory_mib": foreign_memory_mib(sample.used_memory_mib, foreign, ours, reserved_mib),
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
        "memory_utilization_percent": seen.memory_utilization_percent,
        "power_limit_w": seen.power_limit_w,
        "sm_clock_mhz": seen.sm_clock_mhz,
        "memory_clock_mhz": seen.memory_clock_mhz,
        "performance_state": seen.performance_state or "",
        "fan_speed_percent": seen.fan_speed_percent,
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
