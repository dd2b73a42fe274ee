"""The ledger: what every node has, what leases and active runs reserve, and what the driver last said."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gpus.availability import IDLE_MEMORY_MIB, why_not_schedulable, why_silent
from gpus.models import Gpu, Node, Pool
from mlserver.prepared import Prepared
from training.models import Lease, Run
from training.queue.limits import Usage
from training.queue.placement import GpuLedger, Holder, NodeLedger

# So that a small device is of use, too.
FLOWLINE_SHARE_PERCENT = 80


HELD_COLUMNS = (
    "id", "node_id", "cpus", "memory_mib", "gpus", "owner_id", "task__queue", "task__is_demo", "task__time_limit_s",
    "task__grace_s", "started_at", "created_at",
)  # fmt: skip
NODES = Prepared(lambda: Node.objects.order_by("pk"))
HELD = Prepared(lambda: Run.objects.queued().active().order_by().values(*HELD_COLUMNS))
LEASES = Prepared(lambda: Lease.objects.held().order_by("pk"))
GPUS = Prepared(lambda: Gpu.objects.filter(is_present=True).select_related("node").order_by("node_id", "index"))


@dataclass
class Ledger:
    """Nodes with what is held of them, and what queues and users hold."""

    nodes: list[NodeLedger]
    usage: Usage


def read_ledger(*, with_gpus: bool = True, with_pools: bool = True, flowline_mib: int = 0) -> Ledger:
    """Two queries, two more for GPUs and two for pools beside the default. Call inside the pass' transaction.

    `flowline_mib`: what a task of FlowLine needs free on a device, if the device is large enough.
    """
    nodes = {node.pk: node_ledger(node) for node in NODES.all()}
    usage = add_holders(nodes)
    if with_gpus or with_pools:
        add_gpus(nodes)
        for gpu in (gpu for node in nodes.values() for gpu in node.gpus):
            gpu.flowline_mib = min(flowline_mib, gpu.memory_mib * FLOWLINE_SHARE_PERCENT // 100)
    if with_pools:
        add_pools(nodes)
    return Ledger(list(nodes.values()), usage)


def add_holders(nodes: dict[int, NodeLedger]) -> Usage:
    """What each active run holds of its node, and all of them of the limits."""
    usage = Usage()
    for row in HELD.dicts():
        if node := nodes.get(row["node_id"]):
            node.holders[row["id"]] = holder_of(row)
        if not row["task__is_demo"]:
            usage.add(row["task__queue"], row["owner_id"], row["gpus"])
    return usage


def holder_of(row: dict[str, Any]) -> Holder:
    return Holder(row["cpus"], row["memory_mib"], latest_end(row), row["task__queue"], row["owner_id"], row["gpus"])


def latest_end(row: dict[str, Any]) -> float | None:
    """Epoch seconds at which its time limit and grace are over; None without a limit."""
    if row["task__time_limit_s"] is None:
        return None
    begun: datetime = row["started_at"] or row["created_at"]
    limit_s: float = row["task__time_limit_s"] + row["task__grace_s"]
    return begun.timestamp() + limit_s


def add_gpus(nodes: dict[int, NodeLedger]) -> None:
    leases: dict[int, list[Lease]] = defaultdict(list)
    for lease in LEASES.all():
        leases[lease.gpu_id].append(lease)
    for gpu in GPUS.all():
        nodes[gpu.node_id].gpus.append(gpu_ledger(gpu, leases[gpu.pk]))


def add_pools(nodes: dict[int, NodeLedger]) -> None:
    gpus = {gpu.id: gpu for node in nodes.values() for gpu in node.gpus}
    for name, node_id in Pool.nodes.through.objects.values_list("pool__name", "node_id"):
        nodes[node_id].pools.add(name)
    for name, gpu_id in Pool.gpus.through.objects.values_list("pool__name", "gpu_id"):
        if gpu := gpus.get(gpu_id):
            gpu.pools.add(name)


def node_ledger(node: Node) -> NodeLedger:
    """A node that fell silent gets nothing; one that was never heard of is starting and may take work without GPUs."""
    ledger = NodeLedger(node.pk, node.name, node.cpu_slots, node.memory_mib)
    if not node.is_enabled:
        ledger.problem = "is switched off"
    elif node.agent_seen_at is None:
        ledger.gpu_problem = why_silent(node)
    else:
        ledger.problem = why_silent(node)
    return ledger


def gpu_ledger(gpu: Gpu, leases: list[Lease]) -> GpuLedger:
    """Memory that nobody outside holds is ours, leased or not: a run's process may outlive its lease."""
    own_used = max((gpu.used_memory_mib or 0) - gpu.foreign_memory_mib, 0)
    return GpuLedger(
        id=gpu.pk,
        index=gpu.index,
        memory_mib=gpu.memory_mib,
        problem=why_not_schedulable(gpu),
        foreign_memory_mib=gpu.foreign_memory_mib,
        own_used_mib=own_used if leases or own_used > IDLE_MEMORY_MIB else 0,
        reserved_mib=sum(lease.memory_mib for lease in leases),
        utilization_percent=gpu.utilization_percent or 0,
        held_by=[lease.run_id for lease in leases],
        shares_mib=[lease.memory_mib for lease in leases],
        is_exclusive=any(lease.is_exclusive for lease in leases),
    )
