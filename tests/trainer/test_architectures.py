"""Every network takes every sample that the server lets through."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from training.trainer.architectures import BODIES
from training.trainer.architectures.norm import BatchNorm2d
from training.trainer.architectures.resnet import Residual, basic, bottleneck
from training.trainer.catalog import ARCHITECTURES
from training.trainer.network import Network, Plan

IMAGE_SHAPES = [(8, 8, 1), (9, 31, 3), (28, 28, 1), (32, 32, 3), (64, 64, 4)]
SMALL = ["simple_cnn", "lenet5", "mlp"]
WIDE = sorted(set(ARCHITECTURES) - set(SMALL))


def make_network(architecture: str, shape: tuple[int, ...], outputs: int = 10) -> Network:
    return Network(Plan(architecture=architecture, input_shape=shape, outputs=outputs, loss_function="cross_entropy"))


def test_it_builds_every_name_that_the_server_accepts() -> None:
    assert list(BODIES) == list(ARCHITECTURES)


@pytest.mark.parametrize("shape", IMAGE_SHAPES, ids=str)
@pytest.mark.parametrize("architecture", SMALL)
def test_it_gives_a_score_per_class_for_any_size(architecture: str, shape: tuple[int, ...]) -> None:
    network = make_network(architecture, shape, outputs=2)
    assert network(torch.zeros(3, *shape, dtype=torch.uint8)).shape == (3, 2)


@pytest.mark.parametrize("architecture", WIDE)
def test_it_gives_a_score_per_class_for_any_size_of_the_large_networks(architecture: str) -> None:
    with torch.device("meta"):  # shapes without the sums, which would take seconds
        for shape in IMAGE_SHAPES:
            assert make_network(architecture, shape)(torch.zeros(3, *shape)).shape == (3, 10)


@pytest.mark.parametrize("architecture", ["resnet18", "vgg11", "simple_cnn"])
def test_it_trains_on_one_sample_of_the_smallest_image(architecture: str) -> None:
    network = make_network(architecture, (8, 8, 1)).train()
    scores = network(torch.rand(1, 8, 8, 1))
    scores.sum().backward()
    assert scores.shape == (1, 10)
    assert all(weights.grad is not None for weights in network.parameters())


def test_it_normalises_a_single_value_by_what_it_saw_before() -> None:
    norm = BatchNorm2d(2)
    norm.running_mean.fill_(4.0)
    assert torch.allclose(norm(torch.full((1, 2, 1, 1), 5.0)), torch.tensor(1.0), atol=1e-4)
    assert norm.running_mean.tolist() == [4.0, 4.0], "a single value changed the statistics"


def test_it_normalises_several_values_as_torch_does() -> None:
    values = torch.rand(4, 2, 1, 1)
    assert torch.equal(BatchNorm2d(2)(values), torch.nn.BatchNorm2d(2)(values))


@pytest.mark.parametrize(
    ("architecture", "shape", "convolution"),
    [("resnet18", (63, 63, 3), (3, 3)), ("resnet18", (64, 64, 3), (7, 7)), ("lenet5", (28, 28, 1), (5, 5))],
)
def test_it_looks_at_small_images_closely(
    architecture: str, shape: tuple[int, ...], convolution: tuple[int, int]
) -> None:
    with torch.device("meta"):
        network = make_network(architecture, shape)
    first = next(module for module in network.modules() if isinstance(module, torch.nn.Conv2d))
    assert first.kernel_size == convolution


@pytest.mark.parametrize("make_block", [basic, bottleneck])
def test_it_begins_with_the_shortcuts_alone(make_block: Callable[[int, int, int], nn.Sequential]) -> None:
    width = 4 if make_block is bottleneck else 16
    images = torch.rand(2, 16, 5, 5)
    assert torch.equal(Residual(make_block(16, width, 1), nn.Identity())(images), images)


def test_it_has_as_many_weights_as_published() -> None:
    with torch.device("meta"):
        counts = {name: count_weights(name) for name in ("resnet18", "resnet34", "resnet50")}
    assert counts == {"resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032}


def count_weights(architecture: str) -> int:
    network = make_network(architecture, (224, 224, 3), outputs=1000)
    return sum(weights.numel() for weights in network.parameters())


def test_it_takes_raw_samples() -> None:
    network = make_network("mlp", (2,)).eval()
    with torch.no_grad():
        plain = network(torch.tensor([[0.5, -1.0]]))
        network.mean.copy_(torch.tensor([10.0, 20.0]))
        network.scale.copy_(torch.tensor([0.5, 0.1]))
        raw = network(torch.tensor([[11.0, 10.0]]))
    assert torch.equal(plain, raw)
