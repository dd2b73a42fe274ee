"""Optimizers by name. torch's defaults but for the momentum of sgd, and the fused variants, which do one pass."""

from collections.abc import Iterable

from torch import nn, optim

MOMENTUM = 0.9


def make_optimizer(name: str, parameters: Iterable[nn.Parameter], learning_rate: float) -> optim.Optimizer:
    if name == "adam":
        return optim.Adam(parameters, learning_rate, fused=True)
    if name == "adamw":
        return optim.AdamW(parameters, learning_rate, fused=True)
    if name == "sgd":
        return optim.SGD(parameters, learning_rate, momentum=MOMENTUM, fused=True)
    return optim.RMSprop(parameters, learning_rate)
