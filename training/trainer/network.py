"""A whole model: raw samples in, scores out. What it needs to know about the data lives in its buffers."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from registry.datasets.arrays import sample_shape
from training.trainer.architectures import BODIES
from training.trainer.catalog import ARCHITECTURES


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What it takes to build a network again. `input_shape`: (height, width, channels) or (features,)."""

    architecture: str
    input_shape: tuple[int, ...]
    outputs: int
    loss_function: str


class Network(nn.Module):
    """Samples as a file of the dataset may have them, of any type of number: see `arranged` for their shapes.

    `forward` gives (n, outputs) float32: logits, or for mse and mae the target in units of its spread.
    """

    mean: Tensor
    scale: Tensor
    target_mean: Tensor
    target_spread: Tensor

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.classes: list[str] | None = None
        self.takes_images = ARCHITECTURES[plan.architecture]
        self.body, features = BODIES[plan.architecture](plan.input_shape)
        self.head = Head(features, plan.outputs)
        columns = plan.input_shape[-1]
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("scale", torch.ones(columns))
        self.register_buffer("target_mean", torch.zeros(()))
        self.register_buffer("target_spread", torch.ones(()))

    def forward(self, samples: Tensor) -> Tensor:
        normalised = (arranged(samples, self.plan.input_shape) - self.mean) * self.scale
        if self.takes_images:
            normalised = normalised.permute(0, 3, 1, 2)
        result: Tensor = self.head(self.body(normalised))
        return result

    def place(self, device: torch.device) -> None:
        """Move there, convolutions in the layout of images as files have them, channels last; GPUs want it so, too."""
        self.to(device)
        is_same_either_way = self.plan.input_shape[-1] == 1 and device.type == "cpu"
        if self.takes_images and not is_same_either_way:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def predict(self, samples: Tensor) -> Tensor:
        """(n,): class numbers (`classes` names them), or for mse and mae the target in its own units.

        Switches the network to evaluation. Raises ValueError for samples of another shape.
        """
        self.eval()
        scores: Tensor = self(samples)
        if self.plan.loss_function == "cross_entropy":
            return scores.argmax(1)
        if self.plan.loss_function == "bce":
            return (scores[:, 0] > 0).long()
        return scores[:, 0] * self.target_spread + self.target_mean


def arranged(samples: Tensor, input_shape: tuple[int, ...]) -> Tensor:
    """(n, *input_shape), from any shape that the reader of datasets makes it of; in training the samples as they are.

    Raises ValueError for other shapes, and names those it takes.
    """
    shape = tuple(samples.shape)
    if shape[1:] != input_shape:
        if not shape or sample_shape(shape) != input_shape:
            wanted = " or ".join(f"(n, {', '.join(map(str, each))})" for each in accepted(input_shape))
            raise ValueError(f"samples of shape {shape}: this model takes {wanted}, of n samples")
        is_channels_first = len(shape) == 4 and len(input_shape) == 3
        samples = samples.permute(0, 2, 3, 1) if is_channels_first else samples.reshape(shape[0], *input_shape)
    return samples.float() if samples.dtype == torch.float64 else samples


def accepted(input_shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Shapes of one sample that `arranged` takes, the model's own first; of features it names no other."""
    if len(input_shape) != 3:
        return [input_shape]
    height, width, channels = input_shape
    others = [(height, width), (channels, height, width)]
    return [input_shape, *(shape for shape in others if sample_shape((1, *shape)) == input_shape)]


class Head(nn.Linear):
    """The last layer, in float32 also under autocast: half precision would make equal scores of close ones."""

    def forward(self, input: Tensor) -> Tensor:
        if not torch.is_autocast_enabled("cuda"):
            return super().forward(input)
        with torch.autocast("cuda", enabled=False):
            return super().forward(input.float())
