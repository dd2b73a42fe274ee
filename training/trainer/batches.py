"""Where a batch comes from: memory of the device if the samples fit, else a file and processes that read it."""

import signal
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.trainer.failures import Failure, reason

# The rest is for weights, gradients and activations.
SHARE_OF_DEVICE = 0.4
CHUNK_SAMPLES = 4096

Batch = tuple[Tensor, Tensor]


class Source(Protocol):
    device: torch.device

    def place(self, rows: Tensor) -> Tensor:
        """`rows` where `batches` wants them."""

    def batches(self, shares: Sequence[Tensor]) -> Iterator[Batch]:
        """Samples and targets of each share of rows, on the device."""


def make_source(
    inputs: NDArray[np.generic],
    targets: Tensor,
    device: torch.device,
    *,
    is_on_disk: bool,
    workers: int,
) -> Source:
    if device.type == "cpu" and not is_on_disk:
        return Resident(as_tensor(inputs), targets)
    if device.type == "cuda" and inputs.nbytes < SHARE_OF_DEVICE * torch.cuda.mem_get_info(device)[0]:
        return Resident(copied(inputs, device), targets.to(device))
    return Streamed(inputs, targets, device, workers=workers)


def as_tensor(inputs: NDArray[np.generic]) -> Tensor:
    # torch warns about arrays it must not write to, though nobody here writes.
    return torch.from_numpy(np.require(inputs, requirements=["C", "W"]))


def copied(inputs: NDArray[np.generic], device: torch.device) -> Tensor:
    """Piece by piece, so a file on disk never lies in main memory as a whole."""
    first = as_tensor(inputs[:1])
    result = torch.empty(inputs.shape, dtype=first.dtype, device=device)
    for start in range(0, len(inputs), CHUNK_SAMPLES):
        result[start : start + CHUNK_SAMPLES] = as_tensor(inputs[start : start + CHUNK_SAMPLES]).to(device)
    return result


class Resident:
    """All samples in memory of the device: a batch is two look-ups."""

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs = inputs
        self.targets = targets
        self.device = inputs.device

    def place(self, rows: Tensor) -> Tensor:
        return rows.to(self.device)

    def batches(self, shares: Sequence[Tensor]) -> Iterator[Batch]:
        for rows in shares:
            yield self.inputs.index_select(0, rows), self.targets.index_select(0, rows)


class Streamed:
    """Samples in a file, read by worker processes a few batches ahead."""

    def __init__(self, inputs: NDArray[np.generic], targets: Tensor, device: torch.device, *, workers: int) -> None:
        self.rows = Rows(inputs, targets)
        self.device = device
        self.workers = workers

    def place(self, rows: Tensor) -> Tensor:
        return rows

    def batches(self, shares: Sequence[Tensor]) -> Iterator[Batch]:
        loader: DataLoader[Batch] = DataLoader(
            self.rows,
            batch_size=None,  # a share is a whole batch
            sampler=shares,
            num_workers=self.workers,
            multiprocessing_context="fork" if self.workers else None,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # not the global one, whose numbers the training counts on
        )
        # Whoever stops the training may signal its readers, too. They inherit the mask and leave that to this process.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            batches = iter(loader)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        while (batch := self._next(batches)) is not None:
            samples, targets = batch
            yield samples.to(self.device, non_blocking=True), targets.to(self.device, non_blocking=True)

    def _next(self, batches: Iterator[Batch]) -> Batch | None:
        try:
            return next(batches, None)
        except OSError as error:
            raise Failure("data", f"the samples can no longer be read: {reason(error)}") from error


class Rows(Dataset[Batch]):
    def __init__(self, inputs: NDArray[np.generic], targets: Tensor) -> None:
        self.inputs = inputs
        self.targets = targets

    def __getitem__(self, rows: Any) -> Batch:
        return torch.from_numpy(np.asarray(self.inputs[rows.numpy()])), self.targets[rows]
