"""Why nothing new is placed on a node or a device, in words for people; leases are not looked at.

The only place that judges whether agent and driver are heard of. The words stay the same while the silence lasts:
they become `waiting_reason` of tasks, and rows are only written when it changes.
"""

from gpus.models import Gpu, Node

# A driver keeps a few MiB for itself on an idle device; the smallest CUDA context takes more than this.
IDLE_MEMORY_MIB = 64
# Memory that no listed process explains: up to this much is put down to the driver and its services.
UNEXPLAINED_MEMORY_MIB = 600


def why_silent(node: Node) -> str:
    """What follows `node NAME` when its agent is not heard of; empty when it is."""
    if node.is_reporting:
        return ""
    if node.agent_seen_at is None:
        return "has never reported: its agent is not running"
    return f"has not been heard of since {node.agent_seen_at:%Y-%m-%d %H:%M:%S} UTC: its agent is not running"


def why_not_schedulable(gpu: Gpu) -> str:
    """Empty when the device may take work. Reads `gpu` and `gpu.node` only, so select_related("node") saves queries."""
    node = gpu.node
    if not node.is_enabled:
        return f"node {node.name} is switched off"
    if not gpu.is_enabled:
        return "switched off by an administrator"
    if gpu.quarantined_at is not None:
        return f"quarantined: {gpu.quarantine_reason or 'no reason given'}"
    if silence := why_silent(node):
        return f"node {node.name} {silence}"
    if not gpu.is_present:
        return "the driver does not list this GPU at present"
    return _outsiders(gpu) if gpu.is_sampled else _no_sample(gpu)


def _no_sample(gpu: Gpu) -> str:
    if gpu.sampled_at is None:
        return "not sampled yet"
    return f"not sampled since {gpu.sampled_at:%Y-%m-%d %H:%M:%S} UTC: the driver does not answer"


def _outsiders(gpu: Gpu) -> str:
    count, memory_mib = gpu.foreign_process_count, gpu.foreign_memory_mib
    if count:
        noun = "process" if count == 1 else "processes"
        return f"in use outside this server: {count} {noun}, {memory_mib} MiB"
    return f"in use outside this server: {memory_mib} MiB" if memory_mib > UNEXPLAINED_MEMORY_MIB else ""
