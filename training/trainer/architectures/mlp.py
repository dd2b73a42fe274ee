"""Two hidden layers over all numbers of a sample."""

import math

from torch import nn

WIDTHS = (256, 128)
DROPOUT = 0.1


def mlp(input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    first, second = WIDTHS
    layers = [
        nn.Flatten(),
        nn.Linear(math.prod(input_shape), first),
        nn.ReLU(inplace=True),
        nn.Dropout(DROPOUT),
        nn.Linear(first, second),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*layers), second
