"""Checkpoints that cannot be gone on from, or not be written."""

from pathlib import Path

import numpy as np
import pytest

from tests.trainer.sessions import failure, make_settings, metrics, train, write_digits, write_samples
from training.trainer import checkpoint
from training.trainer.settings import Settings
from training.trainer.stopping import EXIT_CODE


@pytest.fixture
def stopped(tmp_path: Path) -> Settings:
    """A session with a checkpoint in its second epoch."""
    settings = make_settings(write_digits(tmp_path))
    assert train(settings, stop_after=8) == EXIT_CODE
    (settings.run_dir / "events.jsonl").unlink()
    return settings


@pytest.mark.parametrize("damage", ["cut", "altered", "empty", "text"])
def test_it_starts_over_with_a_warning_when_the_checkpoint_is_damaged(
    stopped: Settings, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stopped.session_dir / "checkpoint.pt"
    content = path.read_bytes()
    middle = len(content) // 2
    altered = content[:middle] + bytes(255 - byte for byte in content[middle : middle + 64]) + content[middle + 64 :]
    path.write_bytes({"cut": content[:middle], "altered": altered, "empty": b"", "text": b"hello"}[damage])
    assert train(stopped) == 0
    assert "WARNING the checkpoint is damaged, the training starts over" in capsys.readouterr().out
    assert [epoch["epoch"] for epoch in metrics(stopped)] == [1, 2]


@pytest.mark.parametrize(
    ("fields", "named"),
    [({"learning_rate": 0.01}, "learning_rate"), ({"batch_size": 16}, "batch_size"), ({"seed": 5}, "seed")],
)
def test_it_starts_over_with_a_warning_when_settings_differ(
    stopped: Settings, fields: dict[str, float], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make_settings(stopped.data, **fields)
    assert train(settings) == 0
    assert f"WARNING the checkpoint is of another training ({named} differ)" in capsys.readouterr().out
    assert [epoch["epoch"] for epoch in metrics(settings)] == [1, 2]


def test_it_starts_over_when_the_data_differ(stopped: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    write_digits(stopped.data.parent, 190)
    assert train(stopped) == 0
    assert "WARNING the checkpoint is of another training (data differ)" in capsys.readouterr().out


def test_it_goes_on_when_more_epochs_are_asked_for(stopped: Settings) -> None:
    settings = make_settings(stopped.data, epochs=3)
    assert train(settings) == 0
    assert [epoch["epoch"] for epoch in metrics(settings)] == [2, 3]


def test_it_saves_after_an_epoch_when_the_last_checkpoint_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(write_digits(tmp_path), epochs=4)
    saved = []
    save = checkpoint.Checkpoints.save
    monkeypatch.setattr(checkpoint.Checkpoints, "save", lambda self, state: (saved.append(state), save(self, state)))
    assert train(settings) == 0
    assert saved == [], "a checkpoint within 30 s"
    monkeypatch.setattr(checkpoint, "EVERY_S", 0)
    monkeypatch.setattr(checkpoint, "SHARE", 0)
    assert train(settings) == 0
    assert [(state["epoch"], state["batch"]) for state in saved] == [(2, 0), (3, 0), (4, 0)]


def test_it_spends_little_of_its_time_on_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    checkpoints = checkpoint.Checkpoints(tmp_path, {})
    checkpoints._took_s = 2.0
    now[0] += 99
    assert not checkpoints.is_due()
    now[0] += 1
    assert checkpoints.is_due()


def test_it_fails_when_the_checkpoint_cannot_be_written(tmp_path: Path) -> None:
    settings = make_settings(write_digits(tmp_path))
    (settings.session_dir / ".checkpoint.pt.new").mkdir(parents=True)
    assert train(settings, stop_after=2) == 1
    assert "checkpoint.pt could not be written" in failure(settings)["error"]
    assert failure(settings)["kind"] == "error"


def test_it_saves_no_checkpoint_of_a_loss_that_is_no_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_samples(tmp_path / "big.npz", np.random.rand(200, 3), np.random.rand(200))
    settings = make_settings(data, loss_function="mse", learning_rate=1e30, optimizer="sgd")
    assert train(settings, stop_after=4) == EXIT_CODE
    assert "WARNING the loss is no longer a finite number: no checkpoint" in capsys.readouterr().out
    assert not (settings.session_dir / "checkpoint.pt").exists()
