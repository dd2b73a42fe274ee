"""Samples of a dataset as arrays, in memory or, when large, in a file beside the training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.datasets.describe import survey
from registry.datasets.facts import Unreadable
from registry.datasets.missing import fill_missing
from registry.datasets.scratch import kept_in

if TYPE_CHECKING:
    import numpy as np

MAX_MEMORY_BYTES = 1 << 30
"""Inputs of more bytes lie in a file that is mapped into memory."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """`inputs`: (n, height, width, channels) uint8 or float32, or (n, features) float32.

    `targets`: (n,) int64 class numbers, with `classes` their names; or (n,) float32 values, with `classes` None.
    `is_on_disk` says that `inputs` is mapped from a file in `scratch`, read only.
    """

    inputs: np.ndarray
    targets: np.ndarray
    classes: list[str] | None
    is_on_disk: bool = False


def load(path: Path, file_name: str, *, scratch: Path, as_numbers: bool = False) -> Samples:
    """All samples, in the same order each time: images by name, others as in the file.

    `as_numbers` takes labels of target "integers" for values instead of classes. Large inputs are written to
    `scratch` once and found there by the next call for the same file; processes that call at once wait for the first.
    Raises Unreadable when the file is damaged or cannot be trained on, OSError when the disk is full.
    """
    import numpy as np

    dataset = survey(path, file_name)
    facts, labels = dataset.facts, dataset.labels
    if labels is None:
        raise Unreadable(facts.untrainable_reason)
    shape = (facts.sample_count, *facts.input_shape)
    is_number = labels.are_numbers(as_numbers=as_numbers)
    targets = np.empty(facts.sample_count, dtype=np.float32 if is_number else np.int64)
    is_on_disk = math.prod(shape) * np.dtype(dataset.dtype).itemsize > MAX_MEMORY_BYTES

    def fill(inputs: np.ndarray, targets: np.ndarray) -> None:
        dataset.fill(inputs, targets, as_numbers=as_numbers)
        if dataset.dtype == "float32":
            fill_missing(inputs)

    if is_on_disk:
        inputs, targets = kept_in(scratch, path, shape, dataset.dtype, targets, fill)
    else:
        inputs = np.empty(shape, dtype=dataset.dtype)
        fill(inputs, targets)
    return Samples(inputs=inputs, targets=targets, classes=None if is_number else labels.classes, is_on_disk=is_on_disk)
