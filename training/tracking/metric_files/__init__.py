"""Metrics of runs that import nothing of ours: TensorBoard's event files, JSON lines, what the standard output says.

See docs/metrics.md. Each file is taken in exactly once, like the spool of an SDK.
"""

from training.tracking.metric_files.find import Memory
from training.tracking.metric_files.taking import take_in

__all__ = ["Memory", "take_in"]
