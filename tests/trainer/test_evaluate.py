"""What a reader of model.pth gets is what the training reported."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from registry.builtin import digits as read_built_in
from registry.builtin import package_data
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


@pytest.fixture
def beside_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A model of the built-in digits, in a directory with the server's file of them."""
    source = package_data()
    assert source is not None
    data = tmp_path / "var" / "datasets" / "digits_20260304_050607.npz"
    data.parent.mkdir(parents=True)
    data.write_bytes(read_built_in(source))
    settings = make_settings(data, architecture="simple_cnn", run_dir=tmp_path / "session")
    assert train(settings) == 0
    monkeypatch.chdir(tmp_path)
    return settings


def test_it_runs_the_documented_lines(beside_the_server: Settings) -> None:
    """The lines of docs/trainer.md, as a person would paste them."""
    snippet = SNIPPET.search(DOCUMENT.read_text())
    assert snippet is not None
    Path("simple_cnn_digits.pth").symlink_to(beside_the_server.run_dir / "model.pth")
    names: dict[str, object] = {}
    exec(snippet[1], names)  # noqa: S102
    predicted = names["predicted"]
    assert isinstance(predicted, torch.Tensor)
    assert (predicted.numpy() == digits()[1]).mean() > 0.9
    assert len(snippet[1].splitlines()) <= 10


def test_it_documents_a_file_that_the_server_has(
    beside_the_server: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    command = next(line for line in DOCUMENT.read_text().splitlines() if " evaluate " in line)
    assert main([there for word in command.split()[3:] for there in expanded(word)]) == 0
    assert f"val_accuracy {metrics(beside_the_server)[-1]['val_accuracy']:.4f}" in capsys.readouterr().out
    files = re.findall(r"--data (\S+)", DOCUMENT.read_text())
    assert [expanded(file) for file in files] == [["var/datasets/digits_20260304_050607.npz"]] * 2


def expanded(word: str) -> list[str]:
    """As a shell does it."""
    return [str(path) for path in Path().glob(word)] if "*" in word else [word]


@pytest.mark.parametrize("what", ["empty", "text", "cut", "a dataset"])
def test_it_refuses_a_file_that_is_no_model(trained: Settings, capsys: pytest.CaptureFixture[str], what: str) -> None:
    path = trained.run_dir / "model.pth"
    whole = path.read_bytes()
    others = {
        "empty": b"",
        "text": b"no model\n",
        "cut": whole[: len(whole) // 2],
        "a dataset": trained.data.read_bytes(),
    }
    path.write_bytes(others[what])
    capsys.readouterr()
    assert main(["evaluate", str(path), "--data", str(trained.data)]) == 1
    assert capsys.readouterr().out == f"ERROR {path} is no model of this trainer, or it is damaged\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"weight": torch.zeros(3)}, "is no model of this trainer, or one of a newer version"),
        ({"format": 1, "architecture": "mlp"}, "is no model of this trainer, or it is damaged"),
    ],
)
def test_it_refuses_a_model_of_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: dict[str, object], said: str
) -> None:
    torch.save(content, tmp_path / "other.pth")
    assert main(["evaluate", str(tmp_path / "other.pth"), "--data", "digits.npz"]) == 1
    assert capsys.readouterr().out == f"ERROR {tmp_path / 'other.pth'} {said}\n"


def test_it_refuses_a_model_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "/nope.pth", "--data", "digits.npz"]) == 1
    assert capsys.readouterr().out == "ERROR /nope.pth cannot be read: No such file or directory\n"


def test_it_refuses_data_that_is_not_there(trained: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["evaluate", str(trained.run_dir / "model.pth"), "--data", "/nope/digits.npz"]) == 1
    assert capsys.readouterr().out == "ERROR the dataset's file digits.npz is gone: it was deleted\n"


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
