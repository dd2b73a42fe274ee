"""The metrics store: points of runs as packed columns. See docs/metrics.md."""

from training.tracking.metrics.appending import append
from training.tracking.metrics.batch import Batch, storable
from training.tracking.metrics.events import batches_of
from training.tracking.metrics.read import read_table
from training.tracking.metrics.rows import RunRows, open_rows, sampled
from training.tracking.metrics.sampling import sample
from training.tracking.metrics.table import Table
from training.tracking.metrics.table_cache import cache

__all__ = [
    "Batch", "RunRows", "Table", "append", "batches_of", "cache", "open_rows", "read_table", "sample", "sampled",
    "storable",
]  # fmt: skip
