"""LeNet-5 (LeCun et al. 1998), with ReLU and max pooling in place of its scaled tanh and trained averages."""

from torch import nn

KERNEL = 5


def lenet5(input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """Its layers as published for 28x28; below 20 pixels the second convolution is padded, so that 8x8 still works."""
    height, width, channels = input_shape
    height, width = height // 2, width // 2
    padding = 0 if min(height, width) >= 2 * KERNEL else KERNEL // 2
    shrink = KERNEL - 1 - 2 * padding
    height, width = (height - shrink) // 2, (width - shrink) // 2
    layers = [
        nn.Conv2d(channels, 6, KERNEL, padding=KERNEL // 2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, KERNEL, padding=padding),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * height * width, 120),
        nn.ReLU(inplace=True),
        nn.Linear(120, 84),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*layers), 84
