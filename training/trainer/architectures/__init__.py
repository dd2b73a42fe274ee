"""Networks by name. Written here: what they do with small images differs from the usual ones, see docs/trainer.md.

A body takes normalised samples - (n, channels, height, width) float, for `mlp` anything - and gives (n, features).
"""

from collections.abc import Callable

from torch import nn

from training.trainer.architectures.lenet5 import lenet5
from training.trainer.architectures.mlp import mlp
from training.trainer.architectures.resnet import resnet18, resnet34, resnet50
from training.trainer.architectures.simple_cnn import simple_cnn
from training.trainer.architectures.vgg import vgg11, vgg16

Shape = tuple[int, ...]

# name -> (shape of one sample: (height, width, channels) or (features,)) -> body and the features it gives
BODIES: dict[str, Callable[[Shape], tuple[nn.Module, int]]] = {
    "mlp": mlp,
    "simple_cnn": simple_cnn,
    "lenet5": lenet5,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "vgg11": vgg11,
    "vgg16": vgg16,
}
