"""Where a task fits, decided from facts alone: no query, no clock, no side effect but the ledger it is given."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpus.models import DEFAULT_POOL

# As many clients as NVIDIA's Multi-Process Service lets share a device.
RUNS_PER_GPU = 48


DEMAND_FIELDS = (
    "gpus",
    "gpu_memory_mib",
    "is_exclusive",
    "cpus",
    "memory_mib",
    "pool",
    "is_demo",
    "is_session",
    "source",
)


@dataclass(frozen=True)
class Demand:
    """What one execution needs. Equal demands get equal answers, so answers are reused within a pass."""

    gpus: int
    gpu_memory_mib: int | None
    is_exclusive: bool
    cpus: int
    memory_mib: int
    pool: str
    is_session: bool = False
    is_flowline: bool = False
    """Placed by FlowLine's rules: beside others where enough memory is free, the least busy device first."""

    @classmethod
    def of(cls, task: Mapping[str, Any]) -> "Demand":
        """From the DEMAND_FIELDS of a task. A demonstration counts toward no ceiling: it takes no slot."""
        return cls(
            gpus=task["gpus"],
            gpu_memory_mib=task["gpu_memory_mib"],
            is_exclusive=task["is_exclusive"],
            cpus=0 if task["is_demo"] else task["cpus"],
            memory_mib=task["memory_mib"] or 0,
            pool=task["pool"],
            is_session=task["is_session"],
            is_flowline=task.get("source") == "flowline",
        )


@dataclass
class GpuLedger:
    """One device: what leases reserve, what the driver says, and why it cannot be used at all (`problem`)."""

    id: int
    index: int
    memory_mib: int
    problem: str = ""
    foreign_memory_mib: int = 0
    own_used_mib: int = 0
    pools: set[str] = field(default_factory=set)
    reserved_mib: int = 0
    utilization_percent: float = 0
    flowline_mib: int = 0
    """What a task of FlowLine needs free here when it does not say."""
    held_by: list[str] = field(default_factory=list)
    shares_mib: list[int] = field(default_factory=list)
    """What each run of `held_by` reserved."""
    is_exclusive: bool = False

    def free_mib(self) -> int:
        """Memory left for one more shared lease: ledger and driver together, the larger claim counts."""
        return self.memory_mib - max(self.reserved_mib, self.own_used_mib) - self.foreign_memory_mib

    def needed_mib(self, demand: Demand) -> int:
        return demand.gpu_memory_mib or (self.flowline_mib if demand.is_flowline else 0)

    def refusal(self, demand: Demand) -> str:
        """Why `demand` cannot use this device now; empty when it can."""
        needed = self.needed_mib(demand)
        if self.problem:
            return self.problem
        if self.memory_mib < needed:
            return f"only {self.memory_mib} MiB in all"
        if self.is_exclusive or (demand.is_exclusive and self.held_by):
            return f"held by run {', '.join(self.held_by)}"
        if len(self.held_by) >= RUNS_PER_GPU:
            return f"shared by {RUNS_PER_GPU} runs already"
        if not demand.is_exclusive and self.free_mib() < needed:
            return f"only {max(self.free_mib(), 0)} MiB free"
        return ""

    def take(self, demand: Demand, run_id: str) -> int:
        """Reserve for `run_id`; returns the MiB reserved (the whole device when exclusive)."""
        amount = self.memory_mib if demand.is_exclusive else self.needed_mib(demand)
        self.reserved_mib += amount
        self.is_exclusive = demand.is_exclusive
        self.held_by.append(run_id)
        self.shares_mib.append(amount)
        return amount

    def release(self, run_id: str) -> None:
        """The run has ended, in a forecast; what the driver says of now is no news of then."""
        place = self.held_by.index(run_id)
        del self.held_by[place]
        self.reserved_mib -= self.shares_mib.pop(place)
        self.own_used_mib = min(self.own_used_mib, self.reserved_mib)
        self.is_exclusive = False


@dataclass(frozen=True)
class Holder:
    """What an active run holds of its node, and the instant of its time limit, if it has one."""

    cpus: int
    memory_mib: int
    ends_at: float | None = None
    queue: str = ""
    owner_id: int = 0
    gpus: int = 0


@dataclass
class NodeLedger:
    """One machine: slots and memory not reserved by active runs, and its devices."""

    id: int
    name: str
    cpu_slots: int
    memory_mib: int
    problem: str = ""
    pools: set[str] = field(default_factory=set)
    gpu_problem: str = ""
    holders: dict[str, Holder] = field(default_factory=dict)
    """By the id of the run."""
    gpus: list[GpuLedger] = field(default_factory=list)

    @property
    def used_cpus(self) -> int:
        return sum(holder.cpus for holder in self.holders.values())

    @property
    def used_memory_mib(self) -> int:
        return sum(holder.memory_mib for holder in self.holders.values())

    def refusal(self, demand: Demand) -> str:
        """Why the machine itself (not a device) cannot take `demand` now; empty when it can."""
        free_cpus = self.cpu_slots - self.used_cpus
        free_memory = self.memory_mib - self.used_memory_mib
        if self.problem:
            return f"node {self.name} {self.problem}"
        if demand.cpus > self.cpu_slots:
            return f"needs {count(demand.cpus, 'CPU slot')}, node {self.name} has {self.cpu_slots}"
        if demand.memory_mib > self.memory_mib:
            return f"needs {demand.memory_mib} MiB of memory, node {self.name} has {self.memory_mib}"
        if demand.cpus and demand.cpus > free_cpus:
            return f"needs {count(demand.cpus, 'CPU slot')}, {max(free_cpus, 0)} of {self.cpu_slots} are free"
        if demand.memory_mib and demand.memory_mib > free_memory:
            return f"needs {demand.memory_mib} MiB of memory, {max(free_memory, 0)} of {self.memory_mib} are unreserved"
        return ""

    def release(self, run_id: str) -> None:
        """The run has ended, in a forecast."""
        del self.holders[run_id]
        for gpu in self.gpus:
            if run_id in gpu.held_by:
                gpu.release(run_id)

    def is_in(self, pool: str) -> bool:
        """As a whole, or with one of its devices."""
        return self._holds_all_of(pool) or any(pool in gpu.pools for gpu in self.gpus)

    def gpus_in(self, pool: str) -> list[GpuLedger]:
        return self.gpus if self._holds_all_of(pool) else [gpu for gpu in self.gpus if pool in gpu.pools]

    def _holds_all_of(self, pool: str) -> bool:
        return pool == DEFAULT_POOL or pool in self.pools

    def usable_gpus(self, demand: Demand) -> list[GpuLedger]:
        """Devices that can take `demand` now, the tightest fit first; by FlowLine's rules the least busy."""
        fitting = [gpu for gpu in self.gpus_in(demand.pool) if not gpu.refusal(demand)]
        if demand.is_flowline:
            return sorted(fitting, key=lambda gpu: (gpu.utilization_percent, -gpu.free_mib(), gpu.index))
        return sorted(fitting, key=lambda gpu: (gpu.free_mib(), gpu.index))


@dataclass(frozen=True)
class Placement:
    node: NodeLedger
    gpus: list[GpuLedger]

    def where(self) -> str:
        """The place in words: `box, GPU 0 and 1`."""
        if not self.gpus:
            return self.node.name
        return f"{self.node.name}, GPU " + " and ".join(str(gpu.index) for gpu in self.gpus)


def place(demand: Demand, nodes: Iterable[NodeLedger]) -> Placement | str:
    """A node and all GPUs the demand asks for, or a sentence why there is none. Reserves nothing yet."""
    candidates = in_order(demand, nodes)
    if not candidates:
        return f"no node of pool '{demand.pool}' is registered"
    refusals = []
    for node in candidates:
        refusal = refusal_of(node, demand)
        if not refusal:
            return Placement(node, node.usable_gpus(demand)[: demand.gpus])
        refusals.append(refusal)
    return "; ".join(refusals)


def in_order(demand: Demand, nodes: Iterable[NodeLedger]) -> list[NodeLedger]:
    """Nodes of the pool, those with the fewest usable devices first."""
    there = [node for node in nodes if node.is_in(demand.pool)]
    return sorted(there, key=lambda node: len(node.usable_gpus(demand)) if demand.gpus else node.id)


def refusal_of(node: NodeLedger, demand: Demand) -> str:
    """Why the machine or its devices cannot take `demand` now; empty when they can."""
    return node.refusal(demand) or gpu_refusal(node, demand)


def gpu_refusal(node: NodeLedger, demand: Demand) -> str:
    """Why the node's devices do not suffice, naming each that is in the way; empty when they do."""
    if demand.gpus == 0:
        return ""
    needs = f"needs {count(demand.gpus, 'GPU')}"
    if demand.gpu_memory_mib:
        needs += f" with {demand.gpu_memory_mib} MiB"
    there = node.gpus_in(demand.pool)
    if demand.gpus > len(there):
        of_pool = "" if len(there) == len(node.gpus) else f" in pool '{demand.pool}'"
        return f"{needs}, node {node.name} has {len(there)}{of_pool}"
    if node.gpu_problem:
        return f"{needs}, node {node.name} {node.gpu_problem}"
    usable = node.usable_gpus(demand)
    if len(usable) >= demand.gpus:
        return ""
    in_the_way = "; ".join(f"GPU {gpu.index}: {why}" for gpu in there if (why := gpu.refusal(demand)))
    return f"{needs}, {len(usable)} of {len(there)} free: {in_the_way}"


def take(
    placement: Placement,
    demand: Demand,
    run_id: str,
    *,
    ends_at: float | None = None,
    queue: str = "",
    owner_id: int = 0,
) -> list[tuple[GpuLedger, int]]:
    """Write the placement into the ledger; returns each device with the MiB reserved on it."""
    holder = Holder(demand.cpus, demand.memory_mib, ends_at, queue, owner_id, demand.gpus)
    placement.node.holders[run_id] = holder
    return [(gpu, gpu.take(demand, run_id)) for gpu in placement.gpus]


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
