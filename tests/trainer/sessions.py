"""Trainings for tests: data by hand, in this process or in one of its own."""

import functools
import gzip
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import sklearn
import torch

from tests.serving import REPOSITORY
from training.trainer.session import run
from training.trainer.settings import Settings
from training.trainer.stopping import Stop


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 images (n, 8, 8, 1) uint8 and their labels, as they lie in scikit-learn."""
    with gzip.open(Path(sklearn.__path__[0]) / "datasets/data/digits.csv.gz", "rt") as file:
        rows = np.loadtxt(file, delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8, 1).astype(np.uint8), rows[:, -1].astype(np.int64)


def write_digits(folder: Path, count: int = 200) -> Path:
    images, labels = digits()
    return write_samples(folder / "digits.npz", images[:count], labels[:count])


def write_samples(path: Path, inputs: np.ndarray, targets: np.ndarray) -> Path:
    np.savez(path, x=inputs, y=targets)
    return path


def make_settings(data: Path, **fields: Any) -> Settings:
    """Two quick epochs of the mlp; run and session directories beside the data."""
    fields = {
        "architecture": "mlp",
        "dataset": "digits",
        "data": data,
        "file_name": data.name,
        "session_dir": data.parent / "session",
        "run_dir": data.parent / "run",
        "learning_rate": 0.001,
        "batch_size": 32,
        "epochs": 2,
        "optimizer": "adam",
        "loss_function": "cross_entropy",
        "seed": 0,
        "workers": 0,
        **fields,
    }
    return Settings(**fields)


class StopWhen(Stop):
    """Asks to stop when `is_enough` says so; it is asked at the end of each batch, of training or validation."""

    def __init__(self, is_enough: Callable[[], bool]) -> None:
        self.is_enough = is_enough
        self.has_begun = False

    @property
    def is_requested(self) -> bool:
        return self.is_enough()


def train(settings: Settings, *, stop_after: int = 0) -> int:
    """The exit code. `stop_after`: batches, of training or validation; 0 for never."""
    batches = itertools.count(1)
    return run(settings, StopWhen(lambda: next(batches) == stop_after))


def metrics(settings: Settings) -> list[dict[str, Any]]:
    """Of the epochs, without what time it took."""
    path = settings.run_dir / "events.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    assert all(event["type"] == "metrics" for event in events)
    return [{key: value for key, value in event["data"].items() if key not in TIMES} for event in events]


TIMES = ("time", "samples_per_s")


def failure(settings: Settings) -> dict[str, str]:
    found: dict[str, str] = json.loads((settings.run_dir / "failure.json").read_text())
    return found


def model(settings: Settings) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(settings.run_dir / "model.pth", weights_only=True)
    return content


def have_same_weights(one: Settings, other: Settings) -> bool:
    """To the last bit."""
    left, right = model(one)["state_dict"], model(other)["state_dict"]
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def command(settings: Settings) -> list[str]:
    names = ("architecture", "dataset", "data", "session_dir", "learning_rate", "batch_size", "epochs", "optimizer")
    words = [sys.executable, "-m", "training.trainer", "--workers", str(settings.workers)]
    for name in (*names, "loss_function"):
        words += [f"--{name.replace('_', '-')}", str(getattr(settings, name))]
    return words


def start(settings: Settings, *, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
    """The trainer as a process; its output is one stream."""
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
        "MLSERVER_RUN_DIR": str(settings.run_dir),
    }
    return subprocess.Popen(
        command(settings), env=variables | (env or {}), cwd=settings.data.parent, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,
    )  # fmt: skip


class Speaking(Protocol):
    @property
    def stdout(self) -> IO[str] | None: ...


def read_until(process: Speaking, word: str) -> str:
    """The first line that holds `word`; fails when the output ends without it."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if word in line:
            return line
    raise AssertionError(f"{word!r} is not in: {''.join(said)}")
