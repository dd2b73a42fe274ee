"""Batch normalisation that survives a batch of one value per channel."""

from torch import Tensor, nn
from torch.nn import functional


class BatchNorm2d(nn.BatchNorm2d):
    """As torch's. A single value per channel has no spread, and torch refuses it: the running statistics serve then.

    That is so for one sample at 1x1 pixels: batch_size 1, or one sample left over for the last batch.
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training and input.shape[0] * input.shape[2] * input.shape[3] == 1:
            return functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        return super().forward(input)
