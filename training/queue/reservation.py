"""Reservations: what the first task that cannot start is kept, so that smaller ones behind it do not starve it.

As EASY backfilling does (Lifka, "The ANL/IBM SP scheduling system", 1995): one task per node gets a reservation, for
the instant at which the time limits of running work leave it enough. Others start on what it cannot use, or if they
end before that instant. Where a limit is missing nobody knows the instant, and only the first way is left.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from training.queue.placement import Demand, GpuLedger, NodeLedger, Placement, in_order, refusal_of

NEVER = float("inf")


@dataclass
class Reservation:
    """`starts_at`: epoch seconds, NEVER when unknown. `spare_*`: what the others may take for longer than that."""

    task_id: int
    demand: Demand
    gpus: list[GpuLedger]
    starts_at: float
    spare_cpus: int
    spare_memory_mib: int

    def is_outlived_by(self, ends_at: float | None) -> bool:
        return ends_at is None or self.starts_at == NEVER or ends_at > self.starts_at

    def leaves(self, gpu: GpuLedger, demand: Demand) -> bool:
        """Whether `demand` may stay on the device when the reserved task comes."""
        if all(gpu is not kept for kept in self.gpus):
            return True
        if self.demand.is_exclusive or demand.is_exclusive:
            return False
        return gpu.free_mib() >= gpu.needed_mib(self.demand) + gpu.needed_mib(demand)

    def has_room_for(self, demand: Demand) -> bool:
        """Of CPU slots and memory."""
        fits_cpus = demand.cpus == 0 or demand.cpus <= self.spare_cpus
        return fits_cpus and (demand.memory_mib == 0 or demand.memory_mib <= self.spare_memory_mib)

    def take(self, demand: Demand) -> None:
        """`demand` was placed and may stay."""
        self.spare_cpus -= demand.cpus
        self.spare_memory_mib -= demand.memory_mib

    def said(self, node: NodeLedger, *, of_gpus: bool) -> str:
        """Why somebody else does not start, as a waiting reason."""
        if of_gpus:
            numbers = [str(gpu.index) for gpu in sorted(self.gpus, key=lambda gpu: gpu.index)]
            what = f"GPU {' and '.join(numbers)} of node {node.name} {'is' if len(numbers) == 1 else 'are'}"
        else:
            what = f"CPU slots and memory of node {node.name} are"
        return f"{what} kept for task {self.task_id}, which is ahead in the line"


Reservations = Mapping[int, Reservation]
"""By the id of the node."""


def place_beside(
    demand: Demand, nodes: Iterable[NodeLedger], reservations: Reservations, ends_at: float | None
) -> Placement | str:
    """As `place`, for a demand that fits, where it is in nobody's way; else a sentence that names who is ahead."""
    kept = []
    for node in in_order(demand, nodes):
        if refusal_of(node, demand):
            continue
        usable, ahead = node.usable_gpus(demand), reservations.get(node.id)
        if ahead is not None and ahead.is_outlived_by(ends_at):
            usable = [gpu for gpu in usable if ahead.leaves(gpu, demand)]
            if len(usable) < demand.gpus or not ahead.has_room_for(demand):
                kept.append(ahead.said(node, of_gpus=len(usable) < demand.gpus))
                continue
        return Placement(node, usable[: demand.gpus])
    return "; ".join(kept)


def reserve(
    task_id: int, demand: Demand, nodes: Iterable[NodeLedger], taken: Reservations
) -> tuple[NodeLedger, Reservation] | None:
    """Where a refused demand starts the earliest; None when it waits for more than our own runs to end.

    A node of `taken` is kept for somebody who is ahead, and cannot be kept twice.
    """
    free = [node for node in in_order(demand, nodes) if node.id not in taken and could_take(node, demand)]
    found = [(node, estimate(task_id, demand, node)) for node in free]
    return min(found, key=lambda one: one[1].starts_at, default=None)


def could_take(node: NodeLedger, demand: Demand) -> bool:
    """Whether it would fit if none of our runs were there."""
    if node.problem or (demand.gpus and node.gpu_problem):
        return False
    if demand.cpus > node.cpu_slots or demand.memory_mib > node.memory_mib:
        return False
    return len([gpu for gpu in node.gpus_in(demand.pool) if could_use(gpu, demand)]) >= demand.gpus


def could_use(gpu: GpuLedger, demand: Demand) -> bool:
    others_mib = 0 if demand.is_exclusive else gpu.foreign_memory_mib
    return not gpu.problem and gpu.memory_mib - others_mib >= gpu.needed_mib(demand)


def estimate(task_id: int, demand: Demand, node: NodeLedger) -> Reservation:
    """The devices that are free the earliest, and when they, the slots and the memory are."""
    times = [(free_at(gpu, demand, node), gpu) for gpu in node.gpus_in(demand.pool) if could_use(gpu, demand)]
    chosen = sorted(times, key=lambda one: (one[0], one[1].free_mib(), one[1].index))[: demand.gpus]
    starts_at = max([at for at, _ in chosen] + [room_at(demand, node)])
    cpus, memory_mib = left_at(starts_at, node)
    return Reservation(
        task_id=task_id,
        demand=demand,
        gpus=[gpu for _, gpu in chosen],
        starts_at=starts_at,
        spare_cpus=max(cpus - demand.cpus, 0),
        spare_memory_mib=max(memory_mib - demand.memory_mib, 0),
    )


def end_of(node: NodeLedger, run_id: str) -> float:
    """When the run ends at the latest; NEVER when it has no limit."""
    holder = node.holders.get(run_id)
    return NEVER if holder is None or holder.ends_at is None else holder.ends_at


def free_at(gpu: GpuLedger, demand: Demand, node: NodeLedger) -> float:
    """When enough of the device's runs have ended; 0 is now."""
    if not gpu.refusal(demand):
        return 0
    ends = sorted((end_of(node, run_id), mib) for run_id, mib in zip(gpu.held_by, gpu.shares_mib, strict=True))
    if demand.is_exclusive or gpu.is_exclusive:
        return ends[-1][0] if ends else NEVER
    free = gpu.memory_mib - gpu.reserved_mib - gpu.foreign_memory_mib
    for at, mib in ends:
        free += mib
        if free >= gpu.needed_mib(demand):
            return at
    return NEVER


def room_at(demand: Demand, node: NodeLedger) -> float:
    """When enough CPU slots and memory are free; 0 is now."""
    at = 0.0
    ends = sorted(end_of(node, run_id) for run_id in node.holders)
    while not _fits(demand, *left_at(at, node)):
        if not ends:
            return NEVER
        at = ends.pop(0)
    return at


def _fits(demand: Demand, cpus: int, memory_mib: int) -> bool:
    fits_cpus = demand.cpus == 0 or demand.cpus <= cpus
    return fits_cpus and (demand.memory_mib == 0 or demand.memory_mib <= memory_mib)


def left_at(at: float, node: NodeLedger) -> tuple[int, int]:
    """CPU slots and MiB that are free once the runs that end until then have ended; of NEVER what is free now."""
    stay = [holder for run_id, holder in node.holders.items() if at == NEVER or end_of(node, run_id) > at]
    cpus = node.cpu_slots - sum(holder.cpus for holder in stay)
    return cpus, node.memory_mib - sum(holder.memory_mib for holder in stay)
