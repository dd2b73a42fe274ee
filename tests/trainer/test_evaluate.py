"""What a reader of model.pth gets is what the training reported."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.sessions import digits, make_settings, metrics, model, train, write_digits, write_samples
from training.trainer.__main__ import main
from training.trainer.export import load_model
from training.trainer.settings import Settings

SNIPPET = re.compile(r"```python\n(.*?)```", re.DOTALL)
DOCUMENT = Path(__file__).parents[2] / "docs" / "trainer.md"


@pytest.fixture
def trained(tmp_path: Path) -> Settings:
    settings = make_settings(write_digits(tmp_path), architecture="simple_cnn", epochs=3)
    assert train(settings) == 0
    return settings


def test_it_reproduces_the_last_epoch(trained: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    last = metrics(trained)[-1]
    assert main(["evaluate", str(trained.run_dir / "model.pth"), "--data", str(trained.data)]) == 0
    said = f"INFO val_loss {last['val_loss']:.4f} val_accuracy {last['val_accuracy']:.4f}"
    assert said in capsys.readouterr().out


def test_it_reproduces_a_regression(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = np.random.RandomState(0).standard_normal((99, 3)).astype(np.float32)
    data = write_samples(tmp_path / "plane.npz", inputs, 7 + inputs[:, 0])
    settings = make_settings(data, loss_function="mae", learning_rate=0.01, epochs=5, seed=3)
    assert train(settings) == 0
    assert main(["evaluate", str(settings.run_dir / "model.pth"), "--data", str(data)]) == 0
    assert f"val_accuracy {metrics(settings)[-1]['val_accuracy']:.4f}" in capsys.readouterr().out


def test_it_predicts_a_number_in_its_own_units(tmp_path: Path) -> None:
    inputs = np.random.RandomState(0).standard_normal((200, 2)).astype(np.float32)
    data = write_samples(tmp_path / "plane.npz", inputs, 5000 + 100 * inputs[:, 0])
    settings = make_settings(data, loss_function="mse", learning_rate=0.01, epochs=15)
    assert train(settings) == 0
    network = load_model(settings.run_dir / "model.pth")
    found = network.predict(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    assert found.tolist() == pytest.approx([5000, 5100], abs=60)


def test_it_predicts_the_classes_of_one_logit(tmp_path: Path) -> None:
    inputs = np.random.RandomState(0).standard_normal((200, 2)).astype(np.float32)
    data = write_samples(tmp_path / "sides.npz", inputs, (inputs[:, 0] > 0).astype(np.int64))
    settings = make_settings(data, loss_function="bce", learning_rate=0.01, epochs=5)
    assert train(settings) == 0
    network = load_model(settings.run_dir / "model.pth")
    assert network.predict(torch.tensor([[-3.0, 0.0], [3.0, 0.0]])).tolist() == [0, 1]


def test_it_runs_the_documented_lines(trained: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of docs/trainer.md, as a person would paste them."""
    snippet = SNIPPET.search(DOCUMENT.read_text())
    assert snippet is not None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "simple_cnn_digits.pth").symlink_to(trained.run_dir / "model.pth")
    images, labels = digits()
    np.save("images.npy", images[:200])
    names: dict[str, object] = {}
    exec(snippet[1], names)  # noqa: S102
    predicted = names["predicted"]
    assert isinstance(predicted, torch.Tensor)
    assert (predicted.numpy() == labels[:200]).mean() > 0.9
    assert len(snippet[1].splitlines()) <= 10


def test_it_refuses_a_file_that_is_no_model(trained: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(trained.data), "--data", str(trained.data)]) == 1
    assert "ERROR " in (said := capsys.readouterr().out)
    assert "is no model of this trainer" in said


def test_it_refuses_a_model_that_is_not_there(trained: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "nowhere.pth", "--data", str(trained.data)]) == 1
    assert capsys.readouterr().out.endswith("ERROR nowhere.pth cannot be read: No such file or directory\n")


def test_it_refuses_samples_of_another_shape(
    trained: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_samples(tmp_path / "wide.npz", np.zeros((9, 8, 12, 1), dtype=np.uint8), np.arange(9) % 2)
    assert main(["evaluate", str(trained.run_dir / "model.pth"), "--data", str(data)]) == 1
    assert "ERROR samples of shape (8, 12, 1); the model takes (8, 8, 1)" in capsys.readouterr().out


def test_it_stores_weights_that_a_machine_without_gpu_reads(trained: Settings) -> None:
    weights = model(trained)["state_dict"]
    assert {values.device.type for values in weights.values()} == {"cpu"}
    assert {"mean", "scale"} < weights.keys()
