"""The agent's sampling of runs: which are due, and what their processes and devices use."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import nan

from django.utils import timezone

from gpus.readings import GpuProcess, GpuSample
from gpus.telemetry import Look
from training.models import Run
from training.tracking.system.energy import EnergyMeter, HeldLease, by_run
from training.tracking.system.processes import Use, look, uses
from training.tracking.system.store import RunSample, store

MIB = 1024**2
# How often energy is written where nothing is sampled; how old a look at the devices may be.
ENERGY_EACH_S, FRESH_S = 10.0, 5.0
YOUNG_S = 30.0
NOTHING: tuple[GpuSample | None, list[GpuProcess]] = (None, [])


@dataclass(frozen=True)
class Before:
    """The sample before: CPU time so far, and when that was (time.time)."""

    cpu_s: float
    at: float


class SystemSampler:
    """Of all runs that run here together, each `period_s`, and of each soon after it began. 0: energy alone."""

    def __init__(self, period_s: float, meter: EnergyMeter) -> None:
        self.period_s = period_s
        self.meter = meter
        self._next_at = 0.0
        self._seen: frozenset[str] = frozenset()
        self._before: dict[str, Before] = {}

    def tick(self, supervisors: Mapping[str, Collection[int]], leases: Sequence[HeldLease], last: Look | None) -> None:
        """`supervisors`: pids by run, of those whose command runs. No query when nothing is due.

        A run is sampled from the second tick on: most commands that end within a second are worth no sample.
        Energy is written with the samples; of leases that are held no longer at once.
        """
        is_due = time.monotonic() >= self._next_at
        if is_due:
            self._next_at = time.monotonic() + (self.period_s or ENERGY_EACH_S)
        self._before = {run_id: before for run_id, before in self._before.items() if run_id in supervisors}
        known = {run_id: pids for run_id, pids in supervisors.items() if run_id in self._seen}
        self._seen = frozenset(supervisors)
        wanted = {run_id: pids for run_id, pids in known.items() if is_due or run_id not in self._before}
        if wanted and self.period_s:
            self.sample(wanted, by_run(leases), last)
        self.meter.write(keep=frozenset() if is_due else frozenset(lease.pk for lease in leases))

    def sample(
        self, supervisors: Mapping[str, Iterable[int]], leases: Mapping[str, list[HeldLease]], last: Look | None
    ) -> None:
        now = time.time()
        used = uses(look(), supervisors)
        rows = Run.objects.active().filter(pk__in=list(supervisors)).values_list("pk", "started_at")
        samples, seen = [], {}
        for run_id, started_at in rows:
            use, began_at = used[run_id], started_at.timestamp() if started_at is not None else now
            before = self._before.get(run_id) or first_of(use, began_at, now)
            values = process_values(use, before, now) | gpu_values(use, leases.get(run_id, ()), last, self.meter)
            samples.append(RunSample(run_id, max(int(now - began_at), 0), now, values))
            seen[run_id] = Before(use.cpu_s, now)
        store(samples)
        self._before |= seen


def first_of(use: Use, began_at: float, now: float) -> Before:
    """Without a sample before: the beginning of the run, unless that is so long ago that it says nothing of now."""
    return Before(0.0, began_at) if now - began_at <= YOUNG_S else Before(use.cpu_s, now)


def process_values(use: Use, before: Before, now: float) -> dict[str, float]:
    """Percent of one core since the sample before, and memory now."""
    seconds = now - before.at
    percent = max(use.cpu_s - before.cpu_s, 0.0) / seconds * 100 if seconds > 0 else nan
    return {
        "system/cpu_percent": percent,
        "system/memory_mib": use.rss_bytes / MIB,
        "system/processes": float(len(use.pids)),
    }


def gpu_values(use: Use, leases: Sequence[HeldLease], last: Look | None, meter: EnergyMeter) -> dict[str, float]:
    """Of each leased device. Load and power are the whole device's, memory and energy the run's own."""
    is_fresh = last is not None and (timezone.now() - last.at).total_seconds() <= FRESH_S
    seen = last.seen if last is not None and is_fresh else {}
    values: dict[str, float] = {}
    for lease in leases:
        sample, processes = seen.get(lease.uuid, NOTHING)
        sample = sample or GpuSample()
        own_mib = [it.used_memory_mib for it in processes if it.pid in use.pids and it.used_memory_mib is not None]
        # Where processes are not listed, an exclusive device is used by this run alone.
        used_mib = sum(own_mib) if own_mib else sample.used_memory_mib if lease.is_exclusive else None
        name = f"system/gpu/{lease.index}"
        values |= {
            f"{name}/utilization_percent": number(sample.utilization_percent),
            f"{name}/memory_mib": number(used_mib),
            f"{name}/power_w": number(sample.power_w),
            f"{name}/energy_wh": meter.total_wh(lease),
        }
    return values


def number(value: float | None) -> float:
    return nan if value is None else float(value)
