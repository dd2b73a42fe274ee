"""What an epoch's loss and accuracy are made of, gathered without waiting for the device at every batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.trainer.losses import Objective
from training.trainer.ranks import Ranks

FOLD_EVERY = 64


@dataclass(frozen=True)
class Score:
    loss: float
    accuracy: float


class Tally:
    """Of one pass over `count` samples in batches of `batch_size`, over all ranks.

    Losses and marks are kept apart for each batch and sample until the end, so that the sums are the same to the last
    bit whether or not the pass was interrupted.
    """

    def __init__(
        self, objective: Objective, count: int, batch_size: int, *, ranks: Ranks, device: torch.device
    ) -> None:
        self.objective = objective
        self.count = count
        self.ranks = ranks
        positions = torch.arange(count, device=device)
        self._sizes = torch.tensor(
            [len(batch) for batch in torch.split(positions, batch_size)] if count else [], device=device
        )
        self._positions = ranks.shares(positions, batch_size)
        # (batches,): this rank's part of each batch
        self.weights = [len(share) / size for share, size in zip(self._positions, self._sizes.tolist(), strict=True)]
        self._weights = torch.tensor(self.weights, device=device)
        self.losses = torch.zeros(len(self.weights), device=device)
        self.marks = torch.zeros(count, device=device)
        self.batch = 0
        self._is_gathered = False
        self._pending: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> bool:
        """The next batch. True when it is time to `fold`, which waits for the device."""
        if not self.weights[self.batch + len(self._pending)]:  # a stand-in, see below
            outputs, targets = outputs[:0], targets[:0]
        self._pending.append((loss.detach(), outputs.detach(), targets))
        return len(self._pending) == FOLD_EVERY

    def fold(self) -> bool:
        """Book what was added. False when a loss was not a finite number."""
        if not self._pending:
            return True
        losses, outputs, targets = zip(*self._pending, strict=True)
        self._pending = []
        begin, self.batch = self.batch, self.batch + len(losses)
        stacked = torch.stack(losses) * self._weights[begin : self.batch]
        self.losses[begin : self.batch] = stacked
        positions = torch.cat(tuple(self._positions[begin : self.batch]))
        self.marks[positions] = self.objective.marks(torch.cat(outputs), torch.cat(targets))
        return bool(stacked.isfinite().all())

    def gather(self) -> None:
        """Everything of all ranks on every rank: at the end, or before a checkpoint that ends this run."""
        self.fold()
        if self._is_gathered:
            return
        self._is_gathered = True
        self.ranks.sum(self.losses)
        self.ranks.sum(self.marks)

    def restore(self, losses: Tensor, marks: Tensor, *, batch: int) -> None:
        """Go on after `batch` batches whose figures `gather` had."""
        self.batch = batch
        if self.ranks.rank == 0:
            self.losses.copy_(losses)
            self.marks.copy_(marks)

    def score(self, variation: float) -> Score:
        """After `gather`. The loss is the mean over samples."""
        loss = float((self.losses.double() * self._sizes).sum()) / self.count
        return Score(loss, self.objective.accuracy(float(self.marks.double().sum()), self.count, variation))


def stand_in(shares: Sequence[Tensor], rows: Tensor, batch_size: int) -> Sequence[Tensor]:
    """`shares` with the batch's first sample in place of nothing: every rank must take part in every batch.

    Nothing is left to a rank when a batch has fewer samples than there are ranks.
    """
    if all(len(share) for share in shares[:1]) and all(len(share) for share in shares[-1:]):
        return shares
    batches = torch.split(rows, batch_size)
    return [share if len(share) else batch[:1] for share, batch in zip(shares, batches, strict=True)]
