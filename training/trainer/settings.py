"""What a training or an evaluation was asked to do."""

from dataclasses import asdict, dataclass
from pathlib import Path

# The names that clients of the server know.
PUBLIC_NAMES = {"architecture": "model_architecture", "dataset": "dataset_name"}
CONFIG = ("architecture", "dataset", "learning_rate", "batch_size", "epochs", "optimizer", "loss_function", "seed")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`run_dir` takes what this run tells the server, `session_dir` the checkpoint that a later run resumes from."""

    architecture: str
    dataset: str
    data: Path
    file_name: str
    session_dir: Path
    run_dir: Path
    learning_rate: float
    batch_size: int
    epochs: int
    optimizer: str
    loss_function: str
    seed: int
    workers: int

    def config(self) -> dict[str, str | int | float]:
        values = asdict(self)
        return {PUBLIC_NAMES.get(name, name): values[name] for name in CONFIG}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    model: Path
    data: Path
    file_name: str
    workers: int
