"""What a training tells: lines on stdout, figures in events.jsonl, the reason of a failure in failure.json."""

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import TextIO

from training.trainer.failures import Failure

Metrics = dict[str, int | float | None]


def say(level: str, message: str) -> None:
    """One entry; the time is the server's to note. Line breaks would make entries without a level."""
    print(level, " ".join(message.splitlines()), flush=True)


def say_warnings() -> None:
    """Python's warnings become entries, too."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        say("WARNING", f"{message} ({Path(filename).name}:{lineno})")

    warnings.showwarning = show


class Report:
    """Of one rank. Figures are rank 0's to write; the first rank that fails says why."""

    def __init__(self, run_dir: Path, *, rank: int = 0, ranks: int = 1) -> None:
        self.run_dir = run_dir
        self.rank = rank
        self.is_alone = ranks == 1
        run_dir.mkdir(parents=True, exist_ok=True)
        if self.is_alone:
            self._failure_path.unlink(missing_ok=True)

    @property
    def _failure_path(self) -> Path:
        return self.run_dir / "failure.json"

    def epoch(self, metrics: Metrics, *, epochs: int) -> None:
        if self.rank > 0:
            return
        now = time.time()
        event = {"ts": now, "type": "metrics", "data": {**metrics, "time": now, "stage": "train"}}
        line = (json.dumps(event) + "\n").encode()
        descriptor = os.open(self.run_dir / "events.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
        say("INFO", epoch_line(metrics, epochs))

    def fail(self, failure: Failure) -> bool:
        """Say and write down why; False when it could not be written."""
        say("ERROR", str(failure))
        reason = json.dumps({"error": str(failure), "kind": failure.kind})
        neighbour = self.run_dir / f".failure.json.{self.rank}"
        try:
            neighbour.write_text(reason)
            if self.is_alone:
                neighbour.replace(self._failure_path)
                return True
            self._failure_path.hardlink_to(neighbour)
        except FileExistsError:
            pass  # another rank failed first: what this one met is a consequence
        except OSError as error:
            print(f"failure.json could not be written: {error}", file=sys.stderr, flush=True)
            return False
        neighbour.unlink(missing_ok=True)
        return True


def epoch_line(metrics: Metrics, epochs: int) -> str:
    words = [f"epoch {metrics['epoch']}/{epochs}"]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        if (value := metrics[name]) is not None:
            words.append(f"{name} {value:.4f}")
    words.append(f"{metrics['samples_per_s']:.0f} samples/s lr {metrics['learning_rate']:g}")
    return " ".join(words)
