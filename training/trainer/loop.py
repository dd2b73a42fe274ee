"""The training itself: epochs of batches, validation after each, and where it stands."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.trainer.batches import Source
from training.trainer.checkpoint import Checkpoints
from training.trainer.failures import Failure
from training.trainer.losses import Objective
from training.trainer.network import Network
from training.trainer.precision import Precision
from training.trainer.ranks import Ranks
from training.trainer.report import Metrics, Report, say
from training.trainer.settings import Settings
from training.trainer.stopping import Stop, Stopped
from training.trainer.tally import Score, Tally, stand_in
from training.trainer.validation import Part, validate


@dataclass(frozen=True, kw_only=True)
class Work:
    """Everything a training works with."""

    settings: Settings
    network: Network
    objective: Objective
    optimizer: torch.optim.Optimizer
    precision: Precision
    ranks: Ranks
    source: Source
    train: Part
    validation: Part
    checkpoints: Checkpoints
    report: Report
    stop: Stop


class Loop:
    """`epoch` counts from 1 and is the one under way; `batch` of its batches are done."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.model = work.ranks.wrap(work.network)
        self.epoch = 1
        self.tally = self._new_tally()
        self.metrics: Metrics = {}

    def run(self) -> Metrics:
        """The last epoch's figures. Raises Stopped after saving a checkpoint, Failure when a loss is no number."""
        self.work.stop.begin()
        try:
            while self.epoch <= self.work.settings.epochs:
                self._run_epoch()
        except Stopped:
            self.save()
            say("INFO", f"stopped in epoch {self.epoch} after batch {self.tally.batch}; checkpoint saved")
            raise
        return self.metrics

    def _run_epoch(self) -> None:
        settings, began, first = self.work.settings, time.perf_counter(), self.tally.batch
        self._train()
        elapsed_s = time.perf_counter() - began
        self.tally.gather()
        self.work.ranks.average(self.work.network)
        score = self.tally.score(self.work.train.variation)
        validation = self._validate()
        if validation and not math.isfinite(validation.loss):
            raise self._diverged("validation loss")  # of the weights that the last batch left
        samples = len(self.work.train.rows) - first * settings.batch_size
        self.metrics = {
            "epoch": self.epoch,
            "loss": score.loss,
            "accuracy": score.accuracy,
            "val_loss": validation.loss if validation else None,
            "val_accuracy": validation.accuracy if validation else None,
            "learning_rate": settings.learning_rate,
            "samples_per_s": max(0, samples) / elapsed_s,
            "global_step": self.epoch * len(self.tally.weights),
        }
        self.work.report.epoch(self.metrics, epochs=settings.epochs)
        self.epoch += 1
        self.tally = self._new_tally()
        is_due = self.work.checkpoints.is_due() and self.epoch <= settings.epochs
        if self.work.ranks.as_the_first(answer=is_due):
            self.save()

    def _train(self) -> None:
        """The rest of the epoch's batches."""
        work, tally = self.work, self.tally
        shares = self._shares()[tally.batch :]
        scales = [weight * work.ranks.count for weight in tally.weights[tally.batch :]]
        self.model.train()
        for (samples, targets), scale in zip(work.source.batches(shares), scales, strict=True):
            with work.precision.autocast():
                outputs = self.model(samples)
            loss = work.objective.loss(outputs, targets)
            # Gradients are averaged over ranks; a rank with fewer samples of the batch must count for less.
            work.precision.step(loss if scale == 1 else loss * scale, work.optimizer)
            if tally.add(loss, outputs, targets):
                self._fold()
            if work.ranks.agree(wants_to_stop=work.stop.is_requested):
                raise Stopped
        self._fold()

    def _shares(self) -> Sequence[Tensor]:
        """Rows of this rank for each batch of the epoch; their order depends on seed and epoch alone."""
        work = self.work
        order = torch.Generator().manual_seed(work.settings.seed * 1_000_003 + self.epoch)
        rows = work.source.place(work.train.rows[torch.randperm(len(work.train.rows), generator=order)])
        return stand_in(work.ranks.shares(rows, work.settings.batch_size), rows, work.settings.batch_size)

    def _fold(self) -> None:
        if not self.tally.fold():
            raise self._diverged("loss")

    def _diverged(self, what: str) -> Failure:
        where = f"in epoch {self.epoch} at learning rate {self.work.settings.learning_rate:g}"
        return Failure("nan", f"the {what} became NaN or infinite {where}: use a smaller learning rate")

    def _validate(self) -> Score | None:
        work = self.work
        return validate(
            work.network,
            work.source,
            work.validation,
            objective=work.objective,
            batch_size=work.settings.batch_size,
            ranks=work.ranks,
            wants_to_stop=lambda: work.stop.is_requested,
        )

    def _new_tally(self) -> Tally:
        work = self.work
        count, batch_size = len(work.train.rows), work.settings.batch_size
        return Tally(work.objective, count, batch_size, ranks=work.ranks, device=work.source.device)

    def save(self) -> None:
        """A checkpoint, from which `restore` goes on at the next batch. Every rank must call it; rank 0 writes."""
        self.tally.gather()
        self.work.ranks.average(self.work.network)
        if not self.tally.losses.isfinite().all():
            say("WARNING", "the loss is no longer a finite number: no checkpoint")
            return
        if self.work.ranks.rank == 0:
            self.work.checkpoints.save(self._state())

    def _state(self) -> dict[str, Any]:
        work = self.work
        return {
            "model": work.network.state_dict(),
            "optimizer": work.optimizer.state_dict(),
            "scaler": work.precision.scaler.state_dict() if work.precision.scaler else None,
            "epoch": self.epoch,
            "batch": self.tally.batch,
            "losses": self.tally.losses,
            "marks": self.tally.marks,
            "metrics": self.metrics,
            "random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state(work.source.device) if work.source.device.type == "cuda" else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `save` was called."""
        work = self.work
        work.network.load_state_dict(state["model"])
        work.optimizer.load_state_dict(state["optimizer"])
        if work.precision.scaler and state["scaler"]:
            work.precision.scaler.load_state_dict(state["scaler"])
        self.epoch, self.metrics = state["epoch"], state["metrics"]
        self.tally.restore(state["losses"], state["marks"], batch=state["batch"])
        if work.ranks.rank > 0:
            torch.manual_seed(hash((work.settings.seed, work.ranks.rank, self.epoch, self.tally.batch)))
            return
        torch.set_rng_state(state["random"])
        if work.source.device.type == "cuda" and state["cuda_random"] is not None:
            torch.cuda.set_rng_state(state["cuda_random"], work.source.device)
