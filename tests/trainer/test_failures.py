"""A training that cannot go on says why, in the log and in failure.json, and exits with 1."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.sessions import failure, make_settings, train, write_digits, write_samples
from training.trainer.failures import explain
from training.trainer.network import Network
from training.trainer.report import Report


@pytest.mark.parametrize("rows", [20, 3000])  # seen at the end of the epoch, and before it
def test_it_fails_when_the_loss_is_no_number(tmp_path: Path, rows: int, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_samples(tmp_path / "big.npz", np.random.rand(rows, 3).astype(np.float32), np.random.rand(rows))
    settings = make_settings(data, loss_function="mse", learning_rate=1e30, optimizer="sgd", batch_size=2)
    assert train(settings) == 1
    said = "the loss became NaN or infinite in epoch 1 at learning rate 1e+30: use a smaller learning rate"
    assert failure(settings) == {"error": said, "kind": "nan"}
    assert f"ERROR {said}" in capsys.readouterr().out
    assert not (settings.run_dir / "model.pth").exists()
    assert not (settings.run_dir / "events.jsonl").exists()


def test_it_fails_when_the_last_batch_ruined_the_weights(tmp_path: Path) -> None:
    """A single batch: its loss is fine, the weights it leaves are not."""
    data = write_samples(tmp_path / "big.npz", np.random.rand(20, 3).astype(np.float32), np.random.rand(20))
    settings = make_settings(data, loss_function="mse", learning_rate=1e30, optimizer="sgd", epochs=1)
    assert train(settings) == 1
    assert failure(settings)["error"].startswith("the validation loss became NaN or infinite in epoch 1 at")
    assert not (settings.run_dir / "model.pth").exists()


def test_it_fails_when_the_gpu_has_no_memory_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def forward(self: Network, samples: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")

    monkeypatch.setattr(Network, "forward", forward)
    settings = make_settings(write_digits(tmp_path))
    assert train(settings) == 1
    assert failure(settings)["kind"] == "out_of_memory"
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("ERROR CUDA out of memory: use a smaller batch_size (CUDA out of memory. Tried to allocate")


def test_it_shows_where_an_unforeseen_error_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def forward(self: Network, samples: torch.Tensor) -> torch.Tensor:
        raise LookupError("what nobody foresaw")

    monkeypatch.setattr(Network, "forward", forward)
    settings = make_settings(write_digits(tmp_path))
    assert train(settings) == 1
    assert failure(settings) == {"error": "LookupError: what nobody foresaw", "kind": "error"}
    assert "in forward" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"not a zip"])
def test_it_fails_when_the_data_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    data = tmp_path / "set.npz"
    data.write_bytes(content)
    settings = make_settings(data)
    assert train(settings) == 1
    assert failure(settings)["kind"] == "data"
    assert failure(settings)["error"].startswith("set.npz cannot be read: ")


def test_it_fails_without_the_path_of_a_file_that_is_gone_or_closed(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "set.npz")
    assert train(settings) == 1
    assert failure(settings) == {"error": "the dataset's file set.npz is gone: it was deleted", "kind": "data"}
    (tmp_path / "set.npz").mkdir()
    assert train(settings) == 1
    assert failure(settings) == {"error": "set.npz cannot be read: Is a directory", "kind": "data"}


def test_it_forgets_the_failure_of_an_earlier_run(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "digits.npz")
    assert train(settings) == 1
    write_digits(tmp_path)
    assert train(settings) == 0
    assert not (settings.run_dir / "failure.json").exists()


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (MemoryError(), "out_of_memory", "out of memory: use a smaller batch_size (no further text)"),
        (RuntimeError("[enforce] can't allocate memory: you tried"), "out_of_memory", "out of memory: use a smaller"),
        (RuntimeError("CUDNN_STATUS_ALLOC_FAILED"), "out_of_memory", "CUDA out of memory: use"),
        (OSError(errno.ENOSPC, "No space left on device", "f"), "error", "no space left: No space left on device: f"),
        (ValueError("first\nsecond"), "error", "ValueError: first"),
    ],
)
def test_it_explains_an_error_in_a_sentence(error: Exception, kind: str, said: str) -> None:
    failure = explain(error)
    assert failure.kind == kind
    assert str(failure).startswith(said)


def test_it_keeps_the_reason_of_the_rank_that_failed_first(tmp_path: Path) -> None:
    Report(tmp_path, rank=1, ranks=2).fail(explain(ValueError("the cause")))
    Report(tmp_path, rank=0, ranks=2).fail(explain(RuntimeError("connection closed by peer")))
    assert json.loads((tmp_path / "failure.json").read_text())["error"] == "ValueError: the cause"
    assert [path.name for path in tmp_path.iterdir()] == ["failure.json"]
