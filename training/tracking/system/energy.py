"""Energy of runs: what a device consumed between two looks, shared equally among the runs that hold it.

From the device's own counter where it has one, so nothing is missed between looks or while the agent is away; else
power over time.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import connection

from gpus.models import Node
from gpus.readings import GpuSample
from gpus.telemetry import Look
from training.models import Lease

MJ_PER_WH = 3_600_000
S_PER_H = 3600
# Two readings of power that are further apart say nothing of what was between them.
LONGEST_GAP_S = 5.0
ADD = f"UPDATE {Lease._meta.db_table} SET energy_wh = energy_wh + %s, energy_counter_mj = %s WHERE id = %s"


@dataclass(frozen=True)
class HeldLease:
    """`energy_counter_mj`: what the device's counter said when energy of this lease was last written."""

    pk: int
    run_id: str
    uuid: str
    index: int
    memory_mib: int
    is_exclusive: bool
    energy_wh: float
    energy_counter_mj: int | None


def held_leases(node: Node) -> list[HeldLease]:
    columns = (
        "pk", "run_id", "gpu__uuid", "gpu__index", "memory_mib", "is_exclusive", "energy_wh", "energy_counter_mj",
    )  # fmt: skip
    rows = Lease.objects.held().filter(gpu__node=node).order_by("gpu__index", "pk").values_list(*columns)
    return [HeldLease(*row) for row in rows]


class EnergyMeter:
    """What leases consumed and is not written yet, in Wh by their key."""

    def __init__(self) -> None:
        self.unwritten: dict[int, float] = defaultdict(float)
        self._readings: dict[str, tuple[float, GpuSample]] = {}
        self._counters: dict[int, int | None] = {}

    def take(self, look: Look, leases: Sequence[HeldLease]) -> None:
        holders: dict[str, list[HeldLease]] = defaultdict(list)
        for lease in leases:
            holders[lease.uuid].append(lease)
        for uuid, (sample, _) in look.seen.items():
            if sample is None:
                self._readings.pop(uuid, None)
                continue
            wh = self._consumed_wh(uuid, look.at.timestamp(), sample, holders[uuid])
            self._readings[uuid] = (look.at.timestamp(), sample)
            for lease in holders[uuid]:
                self.unwritten[lease.pk] += wh / len(holders[uuid])
                self._counters[lease.pk] = sample.energy_mj

    def _consumed_wh(self, uuid: str, at: float, sample: GpuSample, holders: Sequence[HeldLease]) -> float:
        """0 at the first reading of a device nobody was metered on. A driver that is loaded anew counts from 0."""
        before = self._readings.get(uuid)
        if sample.energy_mj is not None:
            written = [lease.energy_counter_mj for lease in holders if lease.energy_counter_mj is not None]
            since = before[1].energy_mj if before else max(written, default=None)
            return 0.0 if since is None else max(sample.energy_mj - since, 0) / MJ_PER_WH
        if before is None or sample.power_w is None or before[1].power_w is None:
            return 0.0
        seconds = at - before[0]
        is_near = 0 < seconds <= LONGEST_GAP_S
        return (before[1].power_w + sample.power_w) / 2 * seconds / S_PER_H if is_near else 0.0

    def write(self, keep: frozenset[int] = frozenset()) -> None:
        """Add what is unwritten to the leases, but those in `keep`; all of it again when that fails."""
        due = {pk: wh for pk, wh in self.unwritten.items() if pk not in keep}
        if not due:
            return
        with connection.cursor() as cursor:
            cursor.executemany(ADD, [(wh, self._counters.get(pk), pk) for pk, wh in sorted(due.items())])
        for pk in due:
            del self.unwritten[pk]
            self._counters.pop(pk, None)

    def total_wh(self, lease: HeldLease) -> float:
        """Of a lease until now."""
        return lease.energy_wh + self.unwritten.get(lease.pk, 0.0)


def by_run(leases: Sequence[HeldLease]) -> Mapping[str, list[HeldLease]]:
    found: dict[str, list[HeldLease]] = defaultdict(list)
    for lease in leases:
        found[lease.run_id].append(lease)
    return found
