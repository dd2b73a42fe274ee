"""Features without a finite value get the mean of their column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_BLOCK_BYTES = 64 << 20


def fill_missing(inputs: np.ndarray) -> None:
    """Replace NaN and infinity in `inputs` (n, ...) float32, in place, by the mean over the samples that have a value.

    A feature that no sample has a value of becomes 0.
    """
    import numpy as np

    flat = inputs.reshape(len(inputs), -1)
    if all(np.isfinite(block).all() for block in _blocks(flat)):
        return
    totals = np.zeros(flat.shape[1], dtype=np.float64)
    counts = np.zeros(flat.shape[1], dtype=np.int64)
    for block in _blocks(flat):
        is_known = np.isfinite(block)
        totals += np.where(is_known, block, 0).sum(axis=0, dtype=np.float64)
        counts += is_known.sum(axis=0)
    means = (totals / np.maximum(counts, 1)).astype(np.float32)
    for block in _blocks(flat):
        np.copyto(block, means, where=~np.isfinite(block))


def _blocks(flat: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, _BLOCK_BYTES // max(1, flat.shape[1] * flat.itemsize))
    for start in range(0, len(flat), step):
        yield flat[start : start + step]
