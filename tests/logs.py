"""A log and its index as the supervisor writes them, without a supervisor."""

import struct
from pathlib import Path

from training import paths
from training.models import Run

RECORD = struct.Struct("<QdIBxxx")
STREAMS = {"server": 0, "stdout": 1, "stderr": 2}


class WrittenLog:
    """Write number n is stamped with time 1000 + n."""

    def __init__(self, run: Run, rank: int = 0) -> None:
        self.run, self.rank, self.writes, self.base = run, rank, 0, 0
        self.path = run.directory / paths.log_name(rank)
        self.index = paths.control_dir(run.pk, rank) / "logs.idx"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.index.parent.mkdir(parents=True, exist_ok=True)

    def write(self, text: str | bytes, stream: str = "stdout") -> "WrittenLog":
        data = text.encode() if isinstance(text, str) else text
        offset = self.write_unindexed(data)
        with self.index.open("ab") as file:
            file.write(RECORD.pack(offset, 1000.0 + self.writes, len(data), STREAMS[stream]))
        self.writes += 1
        return self

    def write_unindexed(self, data: bytes) -> int:
        """Text that the index does not know (yet); answers its offset."""
        with self.path.open("ab") as file:
            file.write(data)
            return self.base + file.tell() - len(data)

    def rotate(self, *, steps: int = 3) -> "WrittenLog":
        """The log is full. Its supervisor may die after fewer than all three steps."""
        full = self.path.with_name(f"{self.path.name}.{self.base:015d}")
        self.base += self.path.stat().st_size
        self.path.rename(full)
        if steps > 1:
            self.path.touch()
        if steps > 2:
            self.index = self.index.with_name(f"logs.idx.{self.base:015d}")
            self.index.touch()
        return self

    def end(self) -> None:
        """The supervisor's last word."""
        (self.index.parent / "exit.json").write_text('{"exit_code": 0}')


def plain_run(home: Path, settings: object) -> Run:
    """A run whose files lie below `home`, without a row in the database."""
    settings.MLSERVER_HOME = home  # type: ignore[attr-defined]
    return Run(pk="20260101_000000_abcdef", project="digits", name="first")
