"""What the trainer costs beside a bare PyTorch loop of the same model, data and batch, and what it does before that.

`python -m bench.trainer [--quick] [ARCHITECTURE ...]`. Epochs of both loops take turns in one process, so a machine
that grows slower slows both. Figures are only fair on an otherwise idle machine; OMP_NUM_THREADS counts for both.
"""

import argparse
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.nn import functional

from tests.trainer.sessions import StopWhen, digits, make_settings, start, write_samples
from training.trainer.batches import Resident
from training.trainer.loop import Loop
from training.trainer.network import Network
from training.trainer.optimizers import make_optimizer
from training.trainer.prepare import prepare
from training.trainer.ranks import Ranks
from training.trainer.report import Report
from training.trainer.settings import Settings

BATCH_SIZE = 32
EPOCH_S = 12.0
LIMIT_PERCENT = 5.0

Row = tuple[str, str, str, str]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("architectures", nargs="*", default=["mlp", "simple_cnn", "resnet18"])
    arguments.add_argument("--quick", action="store_true", help="epochs of 2 s, which prove nothing about 5 %%")
    given = arguments.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for name in given.architectures:
            pairs, epoch_s = (3, 2.0) if given.quick else (5, EPOCH_S)
            rows += overhead(name, Path(folder), pairs=pairs, epoch_s=epoch_s)
        rows += first_epoch(Path(folder), times=2 if given.quick else 5)
    table = Table("figure", "measured", "goal", "", title=f"trainer, torch {torch.__version__}")
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)


def overhead(name: str, folder: Path, *, pairs: int, epoch_s: float) -> list[Row]:
    """Whole epochs with validation, events and due checkpoints against training and validation alone."""
    rate = samples_per_s(name, folder)
    loop = make_loop(name, folder, samples=round(rate * epoch_s * 1.2))
    bare = BareLoop(loop)
    ours_s, bare_s = [], []
    for number in range(pairs + 1):
        turns = [(ours_s, lambda: one_epoch(loop)), (bare_s, bare.one_epoch)]
        for taken, run in turns if number % 2 else reversed(turns):
            taken.append(seconds(run))
        print(f"  {name}: trainer {ours_s[-1]:.2f} s, bare loop {bare_s[-1]:.2f} s", file=sys.stderr)
    ratios = [ours / alone for ours, alone in zip(ours_s[1:], bare_s[1:], strict=True)]  # the first warms up
    percent = (statistics.median(ratios) - 1) * 100
    told = f"{percent:+.1f} % of {statistics.median(bare_s[1:]):.1f} s"
    return [(f"{name}: over a bare loop, median of {pairs}", told, f"<= {LIMIT_PERCENT:g} %", verdict(percent))]


def verdict(percent: float) -> str:
    return "holds" if percent <= LIMIT_PERCENT else "MISSED"


def samples_per_s(name: str, folder: Path) -> float:
    loop = make_loop(name, folder, samples=3000)
    one_epoch(loop)
    return float(one_epoch(loop)["samples_per_s"])


def make_loop(name: str, folder: Path, *, samples: int) -> Loop:
    """Digits, over and over."""
    images, labels = digits()
    picked = np.resize(np.arange(len(labels)), samples)
    data = write_samples(folder / "many.npz", images[picked], labels[picked])
    settings = make_settings(data, architecture=name, batch_size=BATCH_SIZE, epochs=1)
    settings.session_dir.mkdir(exist_ok=True)
    ranks = Ranks()
    with contextlib.redirect_stdout(io.StringIO()):
        return prepare(
            settings, StopWhen(lambda: False), ranks, Report(settings.run_dir), settings.session_dir / "samples"
        )


def one_epoch(loop: Loop) -> Any:
    loop.work = replace(loop.work, settings=replace(loop.work.settings, epochs=loop.epoch))
    with contextlib.redirect_stdout(io.StringIO()):
        metrics = loop.run()
        if loop.work.checkpoints.is_due():
            loop.save()
    return metrics


class BareLoop:
    """What a person writes who wants nothing but trained weights and an accuracy."""

    def __init__(self, loop: Loop) -> None:
        work = loop.work
        assert isinstance(work.source, Resident)
        self.inputs, self.targets = work.source.inputs, work.source.targets
        self.train = work.train.rows.to(self.inputs.device)
        self.validation = work.validation.rows.to(self.inputs.device)
        self.precision = work.precision
        self.network = Network(work.network.plan)
        self.network.load_state_dict(work.network.state_dict())
        self.network.place(self.inputs.device)
        settings: Settings = work.settings
        self.optimizer = make_optimizer(settings.optimizer, self.network.parameters(), settings.learning_rate)

    def one_epoch(self) -> float:
        self.network.train()
        order = torch.randperm(len(self.train), device=self.inputs.device)
        for rows in self.train[order].split(BATCH_SIZE):
            with self.precision.autocast():
                outputs = self.network(self.inputs[rows])
            loss = functional.cross_entropy(outputs, self.targets[rows])
            self.precision.step(loss, self.optimizer)
        self.network.eval()
        right = torch.zeros((), device=self.inputs.device)
        with torch.no_grad():
            for rows in self.validation.split(256):
                right += (self.network(self.inputs[rows]).argmax(1) == self.targets[rows]).sum()
        return right.item() / len(self.validation)


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def first_epoch(folder: Path, *, times: int) -> list[Row]:
    """From before the process starts until the line of the first epoch, digits with simple_cnn."""
    data = write_samples(folder / "digits.npz", *digits())
    settings = make_settings(data, architecture="simple_cnn", epochs=1)
    runs = [marks(settings) for _ in range(times)]
    names = ["interpreter, to the first line", "torch imported", "samples read, network built", "first epoch done"]
    goals = ["about 100 ms", "", "", ""]
    rows: list[Row] = []
    for number, name in enumerate(names):
        taken = statistics.median(run[number] - (run[number - 1] if number else 0) for run in runs)
        rows.append((f"  {name}", f"{taken * 1000:.0f} ms", goals[number], ""))
    total = statistics.median(run[-1] for run in runs)
    return [("start to first epoch line, digits, simple_cnn", f"{total * 1000:.0f} ms", "", ""), *rows]


def marks(settings: Settings) -> list[float]:
    """Seconds after the start of each of the first four lines."""
    began, found = time.perf_counter(), []
    with start(settings, env={"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "")}) as process:
        assert isinstance(process, subprocess.Popen) and process.stdout is not None
        for _ in process.stdout:
            found.append(time.perf_counter() - began)
    return found[:4]


if __name__ == "__main__":
    main()
