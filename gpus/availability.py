"""Why nothing new is placed on a device, in a sentence for people; facts of the device itself, not of its leases."""

from django.utils import timezone

from gpus.models import Gpu, Node

# Memory that no listed process explains: up to this much is put down to the driver and its services.
UNEXPLAINED_MEMORY_MIB = 600


def why_not_schedulable(gpu: Gpu) -> str:
    """Empty when the device may take work. Reads `gpu` and `gpu.node` only, so select_related("node") saves queries."""
    node = gpu.node
    if not node.is_enabled:
        return f"node {node.name} is switched off"
    if not gpu.is_enabled:
        return "switched off by an administrator"
    if gpu.quarantined_at is not None:
        return f"quarantined: {gpu.quarantine_reason or 'no reason given'}"
    if not node.is_sampled:
        return _no_sample(node)
    if not gpu.is_present:
        return "the driver does not list this GPU at present"
    return _outsiders(gpu)


def _no_sample(node: Node) -> str:
    if node.agent_seen_at is None:
        return f"node {node.name} has never reported: its agent is not running"
    age_s = (timezone.now() - node.agent_seen_at).total_seconds()
    return f"node {node.name} last reported {age_s:.0f} s ago: its agent is not running"


def _outsiders(gpu: Gpu) -> str:
    count, memory_mib = gpu.foreign_process_count, gpu.foreign_memory_mib
    if count:
        noun = "process" if count == 1 else "processes"
        return f"in use outside this server: {count} {noun}, {memory_mib} MiB"
    return f"in use outside this server: {memory_mib} MiB" if memory_mib > UNEXPLAINED_MEMORY_MIB else ""
