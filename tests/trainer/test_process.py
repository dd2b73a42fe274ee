"""The trainer as the supervisor runs it: a process of its own, stopped and killed."""

import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from registry.datasets import load
from tests.trainer.forked import forked
from tests.trainer.sessions import (
    failure,
    have_same_weights,
    make_settings,
    metrics,
    read_until,
    start,
    train,
    write_digits,
)
from tests.waiting import until
from training.trainer.settings import Settings
from training.trainer.stopping import EXIT_CODE

pytestmark = pytest.mark.process

FOREVER = 100_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_digits(tmp_path)


def test_it_says_what_starts_before_torch_is_there_and_stops_at_once(data: Path) -> None:
    began = time.monotonic()
    with start(make_settings(data)) as process:
        assert read_until(process, "INFO starting mlp on digits")
        said_after_s = time.monotonic() - began
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == EXIT_CODE
        assert "stopped before the first batch" in read_until(process, "stopped")
    assert said_after_s < 0.5, "about 0.1 s on an idle machine"
    assert not (data.parent / "session" / "checkpoint.pt").exists()


def test_it_stops_with_a_checkpoint_and_goes_on_from_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = make_settings(data, epochs=FOREVER)
    with start(settings) as process:
        read_until(process, " epoch 3/")
        process.send_signal(signal.SIGTERM)
        assert "checkpoint saved" in read_until(process, "INFO stopped in epoch")
        assert process.wait(timeout=30) == EXIT_CODE
    reached = metrics(settings)[-1]["epoch"]
    rest = make_settings(data, epochs=reached + 2)
    assert train(rest) == 0  # another process than the one that was stopped: this one
    assert "INFO going on from the checkpoint" in capsys.readouterr().out
    assert [epoch["epoch"] for epoch in metrics(settings)] == list(range(1, reached + 3))
    whole = make_settings(data, epochs=reached + 2, run_dir=data.parent / "2", session_dir=data.parent / "2")
    assert train(whole) == 0
    assert have_same_weights(whole, rest)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may grow beyond 100 kB. Python ignores the signal that would say so."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_it_fails_with_the_reason_when_there_is_no_room_for_the_weights(
    data: Path, small_files: None, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make_settings(data, epochs=1)
    assert train(settings) == 1
    assert "ERROR model.pth could not be written to" in capsys.readouterr().out
    assert "File too large" in failure(settings)["error"]
    assert sorted(path.name for path in settings.run_dir.iterdir()) == ["events.jsonl", "failure.json"]


def test_it_fails_with_the_reason_when_a_process_that_reads_samples_dies(data: Path) -> None:
    settings = make_settings(data, epochs=FOREVER, workers=2)
    with forked(settings, change=keep_samples_on_disk) as process:
        read_until(process, " epoch 1/")
        until(lambda: kill_a_reader(process.pid, settings), within_s=20)
        read_until(process, "ERROR a process that reads samples died")
        assert process.wait(timeout=30) == 1
    assert failure(settings)["kind"] == "data"


def keep_samples_on_disk() -> None:
    load.MAX_MEMORY_BYTES = 1


def kill_a_reader(pid: int, settings: Settings) -> bool:
    """Readers live for an epoch, so one may be gone already: True when the training noticed."""
    for reader in psutil.Process(pid).children():
        try:
            reader.kill()
        except psutil.NoSuchProcess:
            continue
    return (settings.run_dir / "failure.json").exists()
