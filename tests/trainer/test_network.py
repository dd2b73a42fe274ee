"""A network takes samples in the shapes of the files it may have been trained on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from registry.datasets.load import load
from tests.trainer.sessions import write_samples
from training.trainer.network import Network, Plan, arranged

Shape = tuple[int, ...]

# What lies in the file, and the shape of one sample that the reader makes of it.
SHAPES = [
    ((6, 8, 9), (8, 9, 1)),
    ((6, 8, 9, 1), (8, 9, 1)),
    ((6, 1, 8, 9), (8, 9, 1)),
    ((6, 8, 9, 3), (8, 9, 3)),
    ((6, 3, 8, 9), (8, 9, 3)),
    ((6, 3, 3, 3), (3, 3, 3)),
    ((6, 5), (5,)),
    ((6,), (1,)),
    ((6, 5, 2, 7), (70,)),
]


@pytest.mark.parametrize(("shape", "input_shape"), SHAPES, ids=str)
def test_it_takes_samples_as_the_file_has_them(shape: Shape, input_shape: Shape, tmp_path: Path) -> None:
    stored = np.random.RandomState(0).standard_normal(shape)
    data = write_samples(tmp_path / "set.npz", stored, np.arange(6) % 2)
    read = load(data, data.name, scratch=tmp_path).inputs
    assert read.shape[1:] == input_shape
    samples = arranged(torch.from_numpy(stored), input_shape)
    assert torch.equal(samples, torch.from_numpy(read))
    network = make_network(input_shape)
    assert torch.equal(network.predict(torch.from_numpy(stored)), network.predict(torch.from_numpy(read)))


def test_it_takes_a_batch_of_the_training_as_it_is() -> None:
    batch = torch.zeros((6, 8, 9, 5), dtype=torch.uint8)
    assert arranged(batch, (8, 9, 5)) is batch


@pytest.mark.parametrize(
    ("shape", "input_shape", "wanted"),
    [
        ((6, 9, 8), (8, 9, 1), "(n, 8, 9, 1) or (n, 8, 9) or (n, 1, 8, 9)"),
        ((8, 9), (8, 9, 1), "(n, 8, 9, 1) or (n, 8, 9) or (n, 1, 8, 9)"),
        ((6, 8, 9), (8, 9, 3), "(n, 8, 9, 3) or (n, 3, 8, 9)"),
        ((6, 3, 4, 3), (4, 3, 3), "(n, 4, 3, 3)"),
        ((6, 2, 8, 9), (8, 9, 2), "(n, 8, 9, 2)"),
        ((6, 4), (5,), "(n, 5)"),
        ((), (1,), "(n, 1)"),
    ],
    ids=str,
)
def test_it_names_the_shapes_it_takes(shape: Shape, input_shape: Shape, wanted: str) -> None:
    with pytest.raises(ValueError, match="^samples of shape") as refused:
        make_network(input_shape).predict(torch.zeros(shape))
    assert str(refused.value) == f"samples of shape {shape}: this model takes {wanted}, of n samples"


def make_network(input_shape: Shape) -> Network:
    torch.manual_seed(0)
    return Network(Plan(architecture="mlp", input_shape=input_shape, outputs=2, loss_function="cross_entropy"))
