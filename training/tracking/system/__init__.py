"""What the processes of runs use, sampled by the agent: CPU, memory, and of leased GPUs load, memory, power and energy.

Series of the server's own, in a stream apart from what scripts say. See docs/metrics.md.
"""

from training.tracking.system.energy import EnergyMeter, HeldLease, held_leases
from training.tracking.system.sampler import SystemSampler
from training.tracking.system.store import read_system

__all__ = ["EnergyMeter", "HeldLease", "SystemSampler", "held_leases", "read_system"]
