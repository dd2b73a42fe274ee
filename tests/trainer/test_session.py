"""A session in this process, from the file to the weights."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.sessions import make_settings, metrics, model, train, write_digits, write_samples
from training.trainer.catalog import OPTIMIZERS


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_digits(tmp_path)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_it_learns_with_every_optimizer(data: Path, optimizer: str) -> None:
    settings = make_settings(data, optimizer=optimizer, epochs=8, learning_rate=0.01)
    assert train(settings) == 0
    assert metrics(settings)[-1]["accuracy"] > 0.85


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_it_learns_numbers(tmp_path: Path, loss: str) -> None:
    inputs = np.random.RandomState(0).standard_normal((200, 3)).astype(np.float32)
    data = write_samples(tmp_path / "plane.npz", inputs, 1000 + 50 * inputs[:, 0] - 20 * inputs[:, 1])
    settings = make_settings(data, loss_function=loss, epochs=20, learning_rate=0.01)
    assert train(settings) == 0
    assert metrics(settings)[-1]["val_accuracy"] > 0.9
    assert model(settings)["classes"] is None


def test_it_learns_two_classes_with_one_logit(tmp_path: Path) -> None:
    inputs = np.random.RandomState(0).standard_normal((200, 3)).astype(np.float32)
    data = write_samples(tmp_path / "sides.npz", inputs, (inputs[:, 0] > 0).astype(np.int64))
    settings = make_settings(data, loss_function="bce", epochs=10, learning_rate=0.01)
    assert train(settings) == 0
    assert metrics(settings)[-1]["val_accuracy"] > 0.85
    assert model(settings)["outputs"] == 1


def test_it_tells_each_epoch(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = make_settings(data, epochs=3)
    assert train(settings) == 0
    found = metrics(settings)
    assert [epoch["epoch"] for epoch in found] == [1, 2, 3]
    assert [epoch["global_step"] for epoch in found] == [5, 10, 15]
    assert found[0].keys() == {
        "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "global_step", "stage",
    }  # fmt: skip
    lines = [line for line in capsys.readouterr().out.splitlines() if " epoch " in line]
    assert lines[2].startswith(f"INFO epoch 3/3 loss {found[2]['loss']:.4f} accuracy {found[2]['accuracy']:.4f} val_")
    assert lines[2].endswith("samples/s lr 0.001")


def test_it_stamps_events_with_seconds_since_1970(data: Path) -> None:
    settings = make_settings(data, epochs=1)
    train(settings)
    event = json.loads((settings.run_dir / "events.jsonl").read_text())
    assert event["ts"] == event["data"]["time"]
    assert event["ts"] > 1_700_000_000


def test_it_leaves_the_weights_and_no_checkpoint(data: Path) -> None:
    settings = make_settings(data)
    assert train(settings) == 0
    content = model(settings)
    assert content["config"] == {
        "model_architecture": "mlp", "dataset_name": "digits", "learning_rate": 0.001, "batch_size": 32, "epochs": 2,
        "optimizer": "adam", "loss_function": "cross_entropy", "seed": 0,
    }  # fmt: skip
    assert content["metrics"]["val_accuracy"] == metrics(settings)[-1]["val_accuracy"]
    assert [name for name in content if name not in ("input_shape", "outputs")] == [
        "format", "architecture", "dataset", "config", "classes", "metrics", "state_dict",
    ]  # fmt: skip
    assert list(settings.session_dir.iterdir()) == []
    assert sorted(path.name for path in settings.run_dir.iterdir()) == ["events.jsonl", "model.pth"]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_it_trains_on_a_handful_of_samples(tmp_path: Path, count: int) -> None:
    data = write_samples(tmp_path / "few.npz", np.random.rand(count, 4).astype(np.float32), np.arange(count) % 2)
    settings = make_settings(data, batch_size=1)
    assert train(settings) == 0
    assert metrics(settings)[-1]["val_loss"] is None or count == 5


@pytest.mark.parametrize(("architecture", "batch_size", "count"), [("simple_cnn", 1, 8), ("resnet18", 4, 6)])
def test_it_trains_on_batches_of_one(tmp_path: Path, architecture: str, batch_size: int, count: int) -> None:
    settings = make_settings(write_digits(tmp_path, count), architecture=architecture, batch_size=batch_size, epochs=1)
    assert train(settings) == 0
    assert math.isfinite(metrics(settings)[0]["loss"])


def test_it_gives_the_same_weights_for_the_same_seed(tmp_path: Path, data: Path) -> None:
    one, again, other = (
        make_settings(data, run_dir=tmp_path / name, epochs=1, seed=seed)
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    )
    assert [train(settings) for settings in (one, again, other)] == [0, 0, 0]
    first = [model(settings)["state_dict"]["head.weight"] for settings in (one, again, other)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])
