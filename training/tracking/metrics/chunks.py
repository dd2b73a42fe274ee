"""Chunks: how rows are packed into blobs, and which chunks an append merges.

Like a log-structured store: what is appended takes the last chunk in while that one is small, or not larger than
twice what takes it in. A run that logs a row each second so has few chunks, each row is rewritten a few dozen times
in its life, and appending costs the same after days as at the beginning.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.tracking.metrics.batch import Floats, Integers

SMALL_BYTES = 64 * 1024
MOST_BYTES = 4 * 1024**2
LOOK_BACK = 16
# Step, time and order of a row, beside its values.
AXIS_BYTES, VALUE_BYTES = 24, 8


@dataclass
class Block:
    """Rows of a group: steps, times, orders (n,) and values (columns, n)."""

    steps: Integers
    times: Floats
    orders: Integers
    values: Floats

    def __len__(self) -> int:
        return len(self.steps)

    def part(self, begin: int, end: int) -> "Block":
        rows = slice(begin, end)
        return Block(self.steps[rows], self.times[rows], self.orders[rows], self.values[:, rows])


def row_bytes(width: int) -> int:
    return AXIS_BYTES + VALUE_BYTES * width


def merged_with(sizes: Sequence[int], added: int) -> int:
    """How many of the last chunks to merge into `added` rows; all sizes in bytes, the newest chunk first."""
    count = 0
    for size in sizes:
        if size + added > MOST_BYTES or (size >= SMALL_BYTES and size > 2 * added):
            break
        added += size
        count += 1
    return count


def joined(blocks: Sequence[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    return Block(
        np.concatenate([it.steps for it in blocks]),
        np.concatenate([it.times for it in blocks]),
        np.concatenate([it.orders for it in blocks]),
        np.concatenate([it.values for it in blocks], axis=1),
    )


def split(block: Block, width: int) -> list[Block]:
    """Pieces of at most MOST_BYTES, or of a single row."""
    most = max(1, MOST_BYTES // row_bytes(width))
    return [block.part(at, at + most) for at in range(0, len(block), most)]


def packed(block: Block) -> tuple[int, int, int, bool, bytes, bytes, bytes, bytes]:
    """Rows, smallest and greatest step, whether they ascend; and the blobs steps, times, values and orders."""
    steps = block.steps
    return (
        len(block),
        int(steps.min()),
        int(steps.max()),
        bool(np.all(steps[1:] > steps[:-1])),
        steps.astype("<i8", copy=False).tobytes(),
        block.times.astype("<f8", copy=False).tobytes(),
        block.values.astype("<f8", copy=False).tobytes(),
        block.orders.astype("<i8", copy=False).tobytes(),
    )


def unpacked(steps: bytes, times: bytes, values: bytes, orders: bytes) -> Block:
    """The block of a chunk's blobs; arrays are read-only views of them."""
    count = len(steps) // VALUE_BYTES
    return Block(
        np.frombuffer(steps, "<i8"),
        np.frombuffer(times, "<f8"),
        np.frombuffer(orders, "<i8"),
        np.frombuffer(values, "<f8").reshape(-1, count) if values else np.empty((0, count)),
    )
