"""Loss functions, and how well the outputs do beside them."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from training.trainer.catalog import REGRESSION_LOSSES


@dataclass(frozen=True)
class Objective:
    """A loss by name. Classes: accuracy is the share of right ones. Numbers: it is R2, not below 0.

    Targets and outputs of a number are in units of its spread over the training part, and so is the loss.
    """

    name: str

    @property
    def is_regression(self) -> bool:
        return self.name in REGRESSION_LOSSES

    def outputs(self, class_count: int) -> int:
        return class_count if self.name == "cross_entropy" else 1

    def prepare(self, targets: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
        """Targets of the file, (n,), as `loss` wants them."""
        if self.is_regression:
            return ((targets.double() - mean.double()) / spread.double()).float()
        return targets.float() if self.name == "bce" else targets.long()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean over the batch. `outputs`: (n, outputs) float32."""
        if self.name == "cross_entropy":
            return functional.cross_entropy(outputs, targets)
        scores = outputs[:, 0]
        if self.name == "bce":
            return functional.binary_cross_entropy_with_logits(scores, targets)
        return functional.mse_loss(scores, targets) if self.name == "mse" else functional.l1_loss(scores, targets)

    def marks(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(n,) float32: 1 for a right class, 0 for a wrong one; for numbers the squared error."""
        if self.name == "cross_entropy":
            return (outputs.argmax(1) == targets).float()
        if self.name == "bce":
            return ((outputs[:, 0] > 0) == (targets > 0.5)).float()
        return (outputs[:, 0] - targets).square()

    def accuracy(self, marks: float, count: int, variation: float) -> float:
        """0 to 1. `marks`: their sum over `count` samples; `variation`: see `variation_of`."""
        if not self.is_regression:
            return marks / count
        if variation == 0:
            return float(marks == 0)
        return min(1.0, max(0.0, 1 - marks / variation))


def variation_of(targets: Tensor) -> float:
    """Sum of squared distances from the mean: what R2 measures the squared errors against."""
    values = targets.double()
    return float((values - values.mean()).square().sum()) if len(values) else 0.0
