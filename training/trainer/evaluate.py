"""What a reader of model.pth gets, on the samples that its training kept for validation."""

import shutil
import tempfile
from pathlib import Path

from training.trainer.export import read_model, rebuild
from training.trainer.failures import Failure, explain, reason
from training.trainer.losses import Objective
from training.trainer.prepare import place_data
from training.trainer.ranks import Ranks
from training.trainer.report import say
from training.trainer.samples import read_samples, split
from training.trainer.settings import Evaluation
from training.trainer.tally import Score
from training.trainer.validation import validate


def evaluate(asked: Evaluation) -> int:
    """Prints loss and accuracy; exit code 1 when the model or the data cannot be read."""
    scratch = Path(tempfile.mkdtemp(prefix="evaluate-"))
    try:
        score = measure(asked, scratch)
    except (Failure, RuntimeError, OSError, MemoryError) as error:
        say("ERROR", str(explain(error)))
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    say("INFO", f"val_loss {score.loss:.4f} val_accuracy {score.accuracy:.4f}" if score else "no validation samples")
    return 0


def measure(asked: Evaluation, scratch: Path) -> Score | None:
    """The validation part is the same as in the training if the data is. Raises Failure."""
    try:
        content = read_model(asked.model)
    except OSError as error:
        raise Failure("error", f"{asked.model} cannot be read: {reason(error)}") from error
    except ValueError as error:
        raise Failure("error", str(error)) from error
    try:
        network, config = rebuild(content), content["config"]
    except (LookupError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise Failure("error", f"{asked.model} is no model of this trainer, or it is damaged") from error
    objective, ranks = Objective(config["loss_function"]), Ranks()
    samples = read_samples(
        asked.data, asked.file_name, architecture=content["architecture"], objective=objective, scratch=scratch
    )
    if samples.inputs.shape[1:] != network.plan.input_shape:
        raise Failure(
            "data", f"samples of shape {samples.inputs.shape[1:]}; the model takes {network.plan.input_shape}"
        )
    rows = split(samples.targets, is_stratified=not objective.is_regression, seed=config["seed"])
    network.place(ranks.device)
    data = place_data(samples, rows, network, objective, workers=asked.workers)
    return validate(
        network, data.source, data.validation, objective=objective, batch_size=config["batch_size"], ranks=ranks
    )
