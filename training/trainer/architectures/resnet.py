"""Residual networks (He et al. 2015), the stride of a bottleneck on its 3x3 convolution."""

from collections.abc import Sequence

from torch import Tensor, nn

from training.trainer.architectures.norm import BatchNorm2d

STAGE_WIDTHS = (64, 128, 256, 512)
# Below it the usual stem (stride 2, then pooling) would leave nothing to look at.
USUAL_STEM_FROM_PX = 64


def resnet18(input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    return residual(input_shape, (2, 2, 2, 2), is_bottleneck=False)


def resnet34(input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    return residual(input_shape, (3, 4, 6, 3), is_bottleneck=False)


def resnet50(input_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    return residual(input_shape, (3, 4, 6, 3), is_bottleneck=True)


def residual(input_shape: tuple[int, ...], depths: Sequence[int], *, is_bottleneck: bool) -> tuple[nn.Module, int]:
    """`depths`: blocks of each of the four stages; the later three begin by halving the image."""
    layers: list[nn.Module] = stem(input_shape)
    width_before = STAGE_WIDTHS[0]
    for stage, (width, depth) in enumerate(zip(STAGE_WIDTHS, depths, strict=True)):
        width_after = width * 4 if is_bottleneck else width
        for block in range(depth):
            stride = 2 if stage > 0 and block == 0 else 1
            inner = bottleneck(width_before, width, stride) if is_bottleneck else basic(width_before, width, stride)
            layers.append(Residual(inner, shortcut(width_before, width_after, stride)))
            width_before = width_after
    body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return body, width_before


def stem(input_shape: tuple[int, ...]) -> list[nn.Module]:
    height, width, channels = input_shape
    width_after = STAGE_WIDTHS[0]
    if min(height, width) < USUAL_STEM_FROM_PX:
        return [*convolution(channels, width_after, 3), nn.ReLU(inplace=True)]
    return [*convolution(channels, width_after, 7, stride=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1)]


class Residual(nn.Module):
    """relu(inner(x) + shortcut(x)), at first without the inner part: that learns faster (Goyal et al. 2017)."""

    def __init__(self, inner: nn.Sequential, shortcut: nn.Module) -> None:
        super().__init__()
        last_norm = inner[-1]
        assert isinstance(last_norm, BatchNorm2d)
        nn.init.zeros_(last_norm.weight)
        self.inner = inner
        self.shortcut = shortcut
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.relu(self.inner(images) + self.shortcut(images))
        return result


def basic(width_before: int, width: int, stride: int) -> nn.Sequential:
    first, second = convolution(width_before, width, 3, stride=stride), convolution(width, width, 3)
    return nn.Sequential(*first, nn.ReLU(inplace=True), *second)


def bottleneck(width_before: int, width: int, stride: int) -> nn.Sequential:
    narrow, look = convolution(width_before, width, 1), convolution(width, width, 3, stride=stride)
    widen = convolution(width, width * 4, 1)
    return nn.Sequential(*narrow, nn.ReLU(inplace=True), *look, nn.ReLU(inplace=True), *widen)


def shortcut(width_before: int, width_after: int, stride: int) -> nn.Module:
    if width_before == width_after and stride == 1:
        return nn.Identity()
    return nn.Sequential(*convolution(width_before, width_after, 1, stride=stride))


def convolution(width_before: int, width_after: int, kernel: int, *, stride: int = 1) -> list[nn.Module]:
    padding = kernel // 2
    convolved = nn.Conv2d(width_before, width_after, kernel, stride=stride, padding=padding, bias=False)
    return [convolved, BatchNorm2d(width_after)]
