"""A training that was interrupted and gone on with equals one that was not, to the last bit."""

from pathlib import Path

import numpy as np
import pytest

from registry.datasets import load
from tests.trainer.sessions import have_same_weights, make_settings, metrics, model, train, write_digits, write_samples
from training.trainer.settings import Settings
from training.trainer.stopping import EXIT_CODE

# 200 digits: 5 batches of 32 to train and 1 to validate an epoch.
INTERRUPTIONS = {"in an epoch": [2], "after an epoch's last batch": [5], "in validation": [6], "twice": [3, 4]}


@pytest.fixture
def whole(tmp_path: Path) -> Settings:
    """Trained without interruption."""
    folder = tmp_path / "whole"
    folder.mkdir()
    settings = make_settings(write_digits(folder), architecture="simple_cnn", epochs=3)
    assert train(settings) == 0
    return settings


@pytest.mark.parametrize("looks", INTERRUPTIONS.values(), ids=INTERRUPTIONS.keys())
def test_it_goes_on_at_the_next_batch(tmp_path: Path, whole: Settings, looks: list[int]) -> None:
    settings = make_settings(whole.data, architecture="simple_cnn", epochs=3, session_dir=tmp_path, run_dir=tmp_path)
    for stop_after in looks:
        assert train(settings, stop_after=stop_after) == EXIT_CODE
        assert (tmp_path / "checkpoint.pt").exists()
        assert not (tmp_path / "model.pth").exists()
    assert train(settings) == 0
    assert have_same_weights(settings, whole)
    assert metrics(settings) == metrics(whole)


def test_it_goes_on_with_samples_from_a_file(tmp_path: Path, whole: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "MAX_MEMORY_BYTES", 1)
    settings = make_settings(
        whole.data, architecture="simple_cnn", epochs=3, session_dir=tmp_path, run_dir=tmp_path, workers=1
    )
    assert train(settings, stop_after=8) == EXIT_CODE
    assert list((tmp_path / "samples").iterdir()), "the samples were not kept for the next run"
    assert train(settings) == 0
    assert have_same_weights(settings, whole)


def test_it_goes_on_with_colours(tmp_path: Path) -> None:
    """Convolutions over several channels lie in memory in another order."""
    numbers = np.random.RandomState(0)
    data = write_samples(tmp_path / "set.npz", numbers.rand(60, 8, 8, 3).astype(np.float32), np.arange(60) % 3)
    fields = {"architecture": "simple_cnn", "batch_size": 8}
    whole = make_settings(data, **fields, run_dir=tmp_path / "1", session_dir=tmp_path / "1")
    other = make_settings(data, **fields, run_dir=tmp_path / "2", session_dir=tmp_path / "2")
    assert [train(whole), train(other, stop_after=3), train(other)] == [0, EXIT_CODE, 0]
    assert have_same_weights(whole, other)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_it_goes_on_with_the_state_of_the_optimizer(tmp_path: Path, optimizer: str) -> None:
    data = write_digits(tmp_path)
    whole = make_settings(data, optimizer=optimizer, run_dir=tmp_path / "1", session_dir=tmp_path / "1")
    other = make_settings(data, optimizer=optimizer, run_dir=tmp_path / "2", session_dir=tmp_path / "2")
    assert [train(whole), train(other, stop_after=3), train(other)] == [0, EXIT_CODE, 0]
    assert have_same_weights(whole, other)


def test_it_only_saves_the_weights_when_all_epochs_are_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the last epoch and model.pth, after a checkpoint that asks for fewer epochs."""
    settings = make_settings(write_digits(tmp_path), epochs=2)
    assert train(settings, stop_after=12) == EXIT_CODE
    done = make_settings(settings.data, epochs=1)
    assert train(done) == 0
    assert model(done)["metrics"]["epoch"] == 1
