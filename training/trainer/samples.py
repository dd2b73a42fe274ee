"""The file of samples: read, judged, split, and the figures that normalise it."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from registry.datasets.facts import Unreadable
from registry.datasets.load import Samples, load
from training.trainer.catalog import objection
from training.trainer.failures import Failure, reason
from training.trainer.losses import Objective

VALIDATION_EVERY = 5  # the fifth part of the samples
# Beyond it the mean of every n-th sample has to do: it is as good, and reading all of them once more takes minutes.
STATISTICS_FROM_NUMBERS = 500_000_000
CHUNK_NUMBERS = 4_000_000
DIGEST_BYTES = 1024 * 1024


def read_samples(data: Path, file_name: str, *, architecture: str, objective: Objective, scratch: Path) -> Samples:
    """Raises Failure of kind data when the file cannot be read or does not fit the architecture or loss."""
    try:
        samples = load(data, file_name, scratch=scratch, as_numbers=objective.is_regression)
    except FileNotFoundError as error:
        raise Failure("data", f"the dataset's file {file_name} is gone: it was deleted") from error
    except (Unreadable, OSError) as error:
        raise Failure("data", f"{file_name} cannot be read: {reason(error)}") from error
    if not len(samples.inputs):
        raise Failure("data", f"{file_name} holds no samples")
    is_number = samples.targets.dtype.kind == "f"
    why_not = objection(
        architecture,
        objective.name,
        input_shape=samples.inputs.shape[1:],
        target="numbers" if is_number else "classes",
        class_count=None if is_number else count_classes(samples),
    )
    if why_not:
        raise Failure("data", why_not)
    if not np.isfinite(samples.targets).all():
        raise Failure("data", f"{file_name} has targets that are not finite numbers")
    return samples


def count_classes(samples: Samples) -> int:
    """Also of classes that have numbers and no names."""
    return len(samples.classes) if samples.classes else int(samples.targets.max()) + 1


def split(targets: NDArray[np.generic], *, is_stratified: bool, seed: int) -> tuple[Tensor, Tensor]:
    """Rows of training and validation, ascending; the same for the same targets and seed.

    Shuffled within each class and every fifth taken, so each class gives its share to within one sample. The first of
    a class always trains. With two samples none is left to validate on.
    """
    groups = targets if is_stratified else np.zeros(len(targets), dtype=np.int64)
    # RandomState, because its numbers are promised never to change with numpy's version.
    shuffled = np.lexsort((np.random.RandomState(seed).random_sample(len(targets)), groups))
    is_validation = np.arange(len(targets)) % VALIDATION_EVERY == VALIDATION_EVERY // 2
    is_first = np.concatenate([[True], np.diff(groups[shuffled]) != 0])
    is_validation &= ~is_first
    train, validation = np.sort(shuffled[~is_validation]), np.sort(shuffled[is_validation])
    return torch.from_numpy(train), torch.from_numpy(validation)


@dataclass(frozen=True)
class Statistics:
    """mean, spread: (columns,) float32, of the last axis: channels or features. The spread of a constant is 1."""

    mean: Tensor
    spread: Tensor


def input_statistics(inputs: NDArray[np.generic], rows: Tensor) -> Statistics:
    """Of the training part alone. Raises Failure when a number is not finite."""
    numbers = math.prod(inputs.shape[1:])
    rows = rows[:: max(1, math.ceil(len(rows) * numbers / STATISTICS_FROM_NUMBERS))]
    shift: Tensor | None = None
    total = square = torch.zeros(inputs.shape[-1], dtype=torch.float64)
    for chunk in torch.split(rows, max(1, CHUNK_NUMBERS // numbers)):
        values = torch.from_numpy(inputs[chunk.numpy()]).float().reshape(len(chunk), -1, inputs.shape[-1])
        # Less the first chunk's mean: the square of a large offset would swallow a small spread.
        shift = values.mean((0, 1)) if shift is None else shift
        values = values - shift
        total = total + values.mean(1).double().sum(0)
        square = square + values.square().mean(1).double().sum(0)
    assert shift is not None
    mean = total / len(rows)
    statistics = Statistics((mean + shift).float(), spread_of(square / len(rows) - mean.square()))
    if not (is_finite := statistics.mean.isfinite()).all():
        column = int((~is_finite).nonzero()[0])
        raise Failure("data", f"the samples hold values that are not finite numbers, in column {column}")
    return statistics


def target_statistics(targets: NDArray[np.generic], rows: Tensor) -> Statistics:
    values = torch.from_numpy(targets.astype(np.float64))[rows]
    return Statistics(values.mean().float(), spread_of(values.var(correction=0)))


def spread_of(variance: Tensor) -> Tensor:
    """The root; 1 where nothing varies but by rounding."""
    spread = variance.clamp(min=0).sqrt().float()
    return torch.where(spread > 1e-12, spread, torch.ones_like(spread))


def fingerprint(data: Path, samples: Samples) -> dict[str, str | int]:
    """Tells two files apart without reading gigabytes: size, both ends, what was read from them."""
    digest = hashlib.sha256(np.ascontiguousarray(samples.targets).tobytes())
    with open(data, "rb") as file:
        digest.update(file.read(DIGEST_BYTES))
        size_bytes = file.seek(0, 2)
        file.seek(max(0, size_bytes - DIGEST_BYTES))
        digest.update(file.read())
    return {"size_bytes": size_bytes, "samples": len(samples.inputs), "sha256": digest.hexdigest()}
