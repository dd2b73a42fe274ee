"""Split and figures of the samples, and what cannot be trained on."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.sessions import digits, write_samples
from training.trainer.failures import Failure
from training.trainer.losses import Objective
from training.trainer.samples import input_statistics, read_samples, split, target_statistics


def test_it_keeps_a_fifth_of_every_class_for_validation() -> None:
    labels = digits()[1]
    train, validation = split(labels, is_stratified=True, seed=0)
    assert len(validation) == pytest.approx(len(labels) / 5, rel=0.01)
    assert sorted([*train.tolist(), *validation.tolist()]) == list(range(len(labels)))
    whole, kept = Counter(labels.tolist()), Counter(labels[validation.numpy()].tolist())
    assert all(abs(kept[label] - whole[label] / 5) <= 1 for label in whole)


def test_it_splits_the_same_way_each_time_and_another_way_by_another_seed() -> None:
    labels = digits()[1]
    first, again, other = (split(labels, is_stratified=True, seed=seed)[1] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_it_splits_as_it_did_when_models_were_trained() -> None:
    """Changing it would make the accuracy of every stored model irreproducible."""
    validation = split(np.arange(30) % 3, is_stratified=True, seed=0)[1]
    assert validation.tolist() == [9, 17, 18, 19, 22, 29]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("is_stratified", [True, False])
def test_it_trains_on_at_least_one_sample_of_each_class(count: int, *, is_stratified: bool) -> None:
    for classes in (1, 2, count):
        labels = np.arange(count) % classes
        train, validation = split(labels, is_stratified=is_stratified, seed=1)
        assert len(train) + len(validation) == count
        assert len(train) >= 1
        assert not is_stratified or set(labels[train.numpy()]) == set(labels)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_it_measures_the_channels_of_the_training_part(dtype: type) -> None:
    images = np.random.RandomState(0).randint(0, 255, (50, 8, 9, 3)).astype(dtype)
    rows = torch.arange(0, 50, 2)
    found = input_statistics(images, rows)
    part = images[::2].astype(np.float64)
    np.testing.assert_allclose(found.mean, part.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found.spread, part.std((0, 1, 2)), rtol=1e-5)


def test_it_measures_small_spreads_beside_large_offsets_and_leaves_constants() -> None:
    table = np.random.RandomState(0).standard_normal((100, 3)).astype(np.float32)
    table[:, 1] += 100_000
    table[:, 2] = 7
    found = input_statistics(table, torch.arange(100))
    np.testing.assert_allclose(found.spread, [table[:, 0].std(), table[:, 1].astype(float).std(), 1], rtol=1e-2)


def test_it_names_the_column_that_holds_no_number() -> None:
    table = np.ones((10, 3), dtype=np.float32)
    table[4, 2] = np.inf
    with pytest.raises(Failure, match="column 2") as raised:
        input_statistics(table, torch.arange(10))
    assert raised.value.kind == "data"


def test_it_measures_targets() -> None:
    found = target_statistics(np.array([1, 3, 100], dtype=np.float32), torch.tensor([0, 1]))
    assert (float(found.mean), float(found.spread)) == (2.0, 1.0)


@pytest.mark.parametrize(
    ("architecture", "loss", "shape", "targets", "reason"),
    [
        ("resnet18", "cross_entropy", (4, 5), [0, 1, 0, 1], "needs images"),
        ("mlp", "bce", (4, 5), [0, 1, 2, 1], "two classes"),
        ("mlp", "cross_entropy", (4, 5), [0.5, 1.5, 2.5, 0.25], "mse or mae"),
        ("lenet5", "cross_entropy", (4, 7, 7, 1), [0, 1, 0, 1], "at least 8x8"),
    ],
)
def test_it_says_why_samples_do_not_fit(
    tmp_path: Path, architecture: str, loss: str, shape: tuple[int, ...], targets: list[float], reason: str
) -> None:
    data = write_samples(tmp_path / "set.npz", np.zeros(shape, dtype=np.float32), np.array(targets))
    with pytest.raises(Failure, match=reason) as raised:
        read_samples(data, data.name, architecture=architecture, objective=Objective(loss), scratch=tmp_path)
    assert raised.value.kind == "data"
