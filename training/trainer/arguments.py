"""The command line. Without torch, so that `--help` and refusals come at once."""

import argparse
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from training.trainer.catalog import ARCHITECTURES, LOSS_FUNCTIONS, OPTIMIZERS
from training.trainer.settings import Evaluation, Settings

Number = TypeVar("Number", int, float)

ABOUT = """Train a network by name on a file of samples, and leave the weights in model.pth.

  python -m training.trainer --architecture resnet18 --dataset digits --data var/datasets/digits_*.npz \\
      --session-dir session --learning-rate 0.001 --batch-size 32 --epochs 5
  python -m training.trainer evaluate session/model.pth --data var/datasets/digits_*.npz

A fifth of the samples is kept for validation. One line per epoch goes to stdout, the same figures to events.jsonl in
$MLSERVER_RUN_DIR (without it, the session directory), beside model.pth and, if it fails, failure.json. SIGTERM stops
after the current batch with a checkpoint in the session directory; the same command resumes from it."""

END = """Several processes train one model when RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT are set.
OMP_NUM_THREADS says how many CPU threads each takes. Exit codes: 0 done, 1 failed, 2 wrong arguments, 143 stopped."""


def read_arguments(words: list[str]) -> Settings | Evaluation:
    """Exits with code 2 and a sentence on stderr when the words make no sense."""
    if words[:1] == ["evaluate"]:
        given = evaluation_parser().parse_args(words[1:])
        given.file_name = given.file_name or given.data.name
        return Evaluation(**vars(given))
    given = training_parser().parse_args(words)
    given.file_name = given.file_name or given.data.name
    run_dir = Path(os.environ.get("MLSERVER_RUN_DIR") or given.session_dir)
    return Settings(run_dir=run_dir, **vars(given))


def training_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m training.trainer",
        description=ABOUT,
        epilog=END,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_training(parser.add_argument_group("training"))
    add_files(parser.add_argument_group("files"))
    return parser


def add_training(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--architecture", required=True, choices=list(ARCHITECTURES), help="the network")
    group.add_argument("--learning-rate", required=True, type=positive(float), metavar="X", help="the same throughout")
    group.add_argument("--batch-size", required=True, type=positive(int), metavar="N", help="samples, over all ranks")
    group.add_argument("--epochs", required=True, type=positive(int), metavar="N", help="passes over the samples")
    group.add_argument("--optimizer", default="adam", choices=OPTIMIZERS, help="sgd has momentum 0.9 (default: adam)")
    group.add_argument(
        "--loss-function",
        default="cross_entropy",
        choices=LOSS_FUNCTIONS,
        help="cross_entropy for classes, bce for two classes, mse or mae for a number (default: cross_entropy)",
    )
    group.add_argument("--seed", default=0, type=natural, metavar="N", help="of split, weights and order (default: 0)")


def add_files(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--dataset", required=True, metavar="NAME", help="what the data is called")
    group.add_argument("--session-dir", required=True, type=Path, metavar="DIR", help="checkpoint and unpacked samples")
    add_data(group)


def add_data(group: argparse._ActionsContainer) -> None:
    group.add_argument("--data", required=True, type=Path, metavar="FILE", help="archive of images, CSV, npy or npz")
    group.add_argument("--file-name", metavar="NAME", help="if FILE has a name that does not tell its format")
    group.add_argument(
        "--workers", default=2, type=natural, metavar="N", help="processes that read samples too big for memory"
    )


def evaluation_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m training.trainer evaluate",
        description="Print loss and accuracy of a model on the samples that its training kept for validation.",
        allow_abbrev=False,
    )
    parser.add_argument("model", type=Path, metavar="MODEL.pth")
    add_data(parser)
    return parser


def positive(kind: type[Number]) -> Callable[[str], Number]:
    def read(text: str) -> Number:
        value = kind(text)
        if not (value > 0 and math.isfinite(value)):
            raise ValueError
        return value

    read.__name__ = f"positive {kind.__name__}"  # what argparse calls it when it refuses a value
    return read


def natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError
    return value


natural.__name__ = "whole number from 0"
