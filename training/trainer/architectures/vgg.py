"""VGG (Simonyan and Zisserman 2014) with batch normalisation, and one hidden layer of 512 in place of two of 4096.

As published it learns from scratch slowly or not at all, and nine tenths of its weights sit in those two layers.
"""

from collections.abc import Sequence

from torch import nn

from training.trainer.architectures.norm import BatchNorm2d

# Convolutions per stage, and their widths; a pool that halves the image ends each stage.
VGG11, VGG16 = (1, 1, 2, 2, 2), (2, 2, 3, 3, 3)
STAGE_WIDTHS = (64, 128, 256, 512, 512)
HIDDEN = 512
DROPOUT = 0.5


def vgg11(input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    return plain(input_shape, VGG11)


def vgg16(input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    return plain(input_shape, VGG16)


def plain(input_shape: tuple[int, ...], depths: Sequence[int]) -> tuple[nn.Module, int]:
    """Pools that would leave less than one pixel are left out: 8x8 is halved three times, 32x32 five times."""
    side, width_before = min(input_shape[:2]), input_shape[2]
    layers: list[nn.Module] = []
    for width, depth in zip(STAGE_WIDTHS, depths, strict=True):
        for _ in range(depth):
            convolution = nn.Conv2d(width_before, width, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
            layers += [convolution, BatchNorm2d(width), nn.ReLU(inplace=True)]
            width_before = width
        if side >= 2:
            layers.append(nn.MaxPool2d(2))
            side //= 2
    hidden = [nn.Linear(width_before, HIDDEN), nn.ReLU(inplace=True), nn.Dropout(DROPOUT)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *hidden), HIDDEN
