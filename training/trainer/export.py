"""model.pth: the weights of the last epoch with what it takes to use them."""

from pathlib import Path
from typing import Any

import torch

from training.trainer.checkpoint import DAMAGED
from training.trainer.files import replace_file
from training.trainer.network import Network, Plan
from training.trainer.report import Metrics
from training.trainer.settings import Settings

FORMAT = 1


def save_model(path: Path, network: Network, *, settings: Settings, metrics: Metrics) -> None:
    """Whole or absent. Weights are stored from main memory, so a machine without a GPU reads them too."""
    plan = network.plan
    weights = {name: values.cpu().contiguous() for name, values in network.state_dict().items()}
    content = {
        "format": FORMAT,
        "architecture": plan.architecture,
        "dataset": settings.dataset,
        "config": settings.config(),
        "input_shape": list(plan.input_shape),
        "outputs": plan.outputs,
        "classes": network.classes,
        "metrics": metrics,
        "state_dict": weights,
    }
    replace_file(path, lambda file: torch.save(content, file))


def read_model(path: Path | str) -> dict[str, Any]:
    """What `save_model` wrote. Unpickles tensors, numbers and text only.

    Raises ValueError for another file and OSError for one that cannot be read.
    """
    with open(path, "rb") as file:
        try:
            content: Any = torch.load(file, map_location="cpu", weights_only=True)
        except DAMAGED as error:
            if isinstance(error, OSError) and error.errno:
                raise
            # torch's own words are about positions in archives, and an advice to unpickle whatever it is.
            raise ValueError(f"{path} is no model of this trainer, or it is damaged") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is no model of this trainer, or one of a newer version")
    return content


def load_model(path: Path | str) -> Network:
    """The network on the CPU, ready to `predict`; its `classes` are the names of the class numbers, if it has any."""
    return rebuild(read_model(path))


def rebuild(content: dict[str, Any]) -> Network:
    """Raises what torch and dictionaries raise when `content` is not what `save_model` wrote."""
    plan = Plan(
        architecture=content["architecture"],
        input_shape=tuple(content["input_shape"]),
        outputs=content["outputs"],
        loss_function=content["config"]["loss_function"],
    )
    network = Network(plan)
    network.load_state_dict(content["state_dict"])
    network.classes = content["classes"]
    return network.eval()
