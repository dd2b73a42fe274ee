"""Everything up to the first batch: samples read, network built, a checkpoint gone on from."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from registry.datasets.load import Samples
from training.trainer.batches import Source, make_source
from training.trainer.checkpoint import Checkpoints
from training.trainer.loop import Loop, Work
from training.trainer.losses import Objective, variation_of
from training.trainer.network import Network, Plan
from training.trainer.optimizers import make_optimizer
from training.trainer.precision import Precision
from training.trainer.ranks import Ranks
from training.trainer.report import Report, say
from training.trainer.samples import (
    count_classes,
    fingerprint,
    input_statistics,
    read_samples,
    split,
    target_statistics,
)
from training.trainer.settings import Settings
from training.trainer.stopping import Stop
from training.trainer.validation import Part


@dataclass(frozen=True)
class Data:
    """Samples with a network that normalises them."""

    source: Source
    train: Part
    validation: Part


def prepare(settings: Settings, stop: Stop, ranks: Ranks, report: Report, scratch: Path) -> Loop:
    """Raises Failure when the data cannot be trained on."""
    objective = Objective(settings.loss_function)
    samples = read_samples(
        settings.data, settings.file_name, architecture=settings.architecture, objective=objective, scratch=scratch
    )
    torch.manual_seed(settings.seed)
    network = build(settings, samples, objective)
    rows = split(samples.targets, is_stratified=not objective.is_regression, seed=settings.seed)
    normalise(network, samples, rows[0], objective)
    network.place(ranks.device)
    data = place_data(samples, rows, network, objective, workers=settings.workers)
    work = Work(
        settings=settings,
        network=network,
        objective=objective,
        optimizer=make_optimizer(settings.optimizer, network.parameters(), settings.learning_rate),
        precision=Precision(ranks.device),
        ranks=ranks,
        source=data.source,
        train=data.train,
        validation=data.validation,
        checkpoints=Checkpoints(settings.session_dir, identity(settings, samples)),
        report=report,
        stop=stop,
    )
    say("INFO", describe(work))
    # From here on each rank draws numbers of its own, for dropout.
    torch.manual_seed(settings.seed + ranks.rank)
    return resume(Loop(work))


def build(settings: Settings, samples: Samples, objective: Objective) -> Network:
    plan = Plan(
        architecture=settings.architecture,
        input_shape=tuple(samples.inputs.shape[1:]),
        outputs=objective.outputs(0 if objective.is_regression else count_classes(samples)),
        loss_function=objective.name,
    )
    network = Network(plan)
    network.classes = None if objective.is_regression else samples.classes
    return network


def normalise(network: Network, samples: Samples, train_rows: Tensor, objective: Objective) -> None:
    """Give the network what it needs to know about the training part."""
    inputs = input_statistics(samples.inputs, train_rows)
    network.mean.copy_(inputs.mean)
    network.scale.copy_(1 / inputs.spread)
    if objective.is_regression:
        targets = target_statistics(samples.targets, train_rows)
        network.target_mean.copy_(targets.mean)
        network.target_spread.copy_(targets.spread)


def place_data(
    samples: Samples,
    rows: tuple[Tensor, Tensor],
    network: Network,
    objective: Objective,
    *,
    workers: int,
) -> Data:
    """`rows`: of the training and of the validation part. The network is on its device already."""
    targets = torch.from_numpy(samples.targets)
    targets = objective.prepare(targets, network.target_mean.cpu(), network.target_spread.cpu())
    train, validation = (Part(part, variation_of(targets[part])) for part in rows)
    source = make_source(samples.inputs, targets, network.mean.device, is_on_disk=samples.is_on_disk, workers=workers)
    return Data(source, train, validation)


def identity(settings: Settings, samples: Samples) -> dict[str, object]:
    """What must be the same for a checkpoint to be gone on from. More epochs may be asked for than at first."""
    config: dict[str, object] = {**settings.config()}
    del config["epochs"]
    return {**config, "data": fingerprint(settings.data, samples)}


def describe(work: Work) -> str:
    weights = sum(values.numel() for values in work.network.parameters())
    counts = f"training on {len(work.train.rows)} samples, validating on {len(work.validation.rows)}"
    rank = "" if work.ranks.is_alone else f", rank {work.ranks.rank} of {work.ranks.count}"
    return f"{counts}, {weights:,} weights, device {work.ranks.device} in {work.precision}{rank}"


def resume(loop: Loop) -> Loop:
    """Go on from the session's checkpoint, if it has one that fits."""
    state = loop.work.checkpoints.load()
    if state is not None:
        loop.restore(state)
        say("INFO", f"going on from the checkpoint: epoch {loop.epoch}, {loop.tally.batch} of its batches are done")
    return loop
