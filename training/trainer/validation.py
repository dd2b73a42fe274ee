"""How well a network does on samples it was not trained on. The same code measures in training and afterwards."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from training.trainer.batches import Source
from training.trainer.losses import Objective
from training.trainer.network import Network
from training.trainer.precision import repeatable
from training.trainer.ranks import Ranks
from training.trainer.stopping import Stopped
from training.trainer.tally import Score, Tally, stand_in

# Nothing is kept for gradients, so it may take more samples at once than the training: up to these.
BATCH_SAMPLES = 256
BATCH_NUMBERS = 2_000_000


@dataclass(frozen=True)
class Part:
    """Rows of the training or of the validation part, and the variation of their targets (losses.variation_of)."""

    rows: Tensor
    variation: float


def validate(
    network: Network,
    source: Source,
    part: Part,
    *,
    objective: Objective,
    batch_size: int,
    ranks: Ranks,
    wants_to_stop: Callable[[], bool] = lambda: False,
) -> Score | None:
    """None without samples. `batch_size` is that of the training. Raises Stopped when any rank wants to stop."""
    if not len(part.rows):
        return None
    batch_size = max(batch_size, min(BATCH_SAMPLES, BATCH_NUMBERS // math.prod(network.plan.input_shape)))
    tally = Tally(objective, len(part.rows), batch_size, ranks=ranks, device=source.device)
    rows = source.place(part.rows)
    network.eval()
    with repeatable():
        for samples, targets in source.batches(stand_in(ranks.shares(rows, batch_size), rows, batch_size)):
            outputs = network(samples)
            if tally.add(objective.loss(outputs, targets), outputs, targets):
                tally.fold()
            if ranks.agree(wants_to_stop=wants_to_stop()):
                raise Stopped
    tally.gather()
    return tally.score(part.variation)
