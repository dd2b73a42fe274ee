"""Three convolutions: quick on a CPU, good for small images."""

from torch import nn

from training.trainer.architectures.norm import BatchNorm2d

WIDTHS = (32, 64, 128)
DROPOUT = 0.25


def simple_cnn(input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """Halves the image after the first two convolutions and averages what is left: any size from 8x8."""
    layers: list[nn.Module] = []
    width_before = input_shape[2]
    for number, width in enumerate(WIDTHS):
        layers += [nn.Conv2d(width_before, width, 3, padding=1, bias=False), BatchNorm2d(width), nn.ReLU(inplace=True)]
        if number < len(WIDTHS) - 1:
            layers.append(nn.MaxPool2d(2))
        width_before = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(DROPOUT)]
    return nn.Sequential(*layers), width_before
