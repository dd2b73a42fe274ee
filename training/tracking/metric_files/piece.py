"""What readers of metric files are given, and what they give."""

from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]

# Bytes looked at in one piece: what is read of one file before others have their turn.
AT_ONCE_BYTES = 256 * 1024
# Different sets of names in one piece. Each would be a group of its own: such a file holds data, not metrics.
MOST_SETS = 200


@dataclass(frozen=True)
class Place:
    """Where to read on: behind `offset` bytes and `rows` rows. `is_over`: nothing more will be written.

    `is_settled`: nothing was written lately, so what belongs together is there.
    """

    offset: int = 0
    rows: int = 0
    prefix: str = ""
    is_over: bool = False
    is_settled: bool = True


@dataclass(frozen=True)
class Piece:
    """What a file says up to `end`: records of type `metrics`, one for each row. A `problem` ends the reading of it."""

    end: int
    records: list[Record] = field(default_factory=list)
    bad_records: int = 0
    problem: str = ""


def metrics_record(step: int, time: float | None, values: Record) -> Record:
    """As an SDK would write it; step and time win over values of their names."""
    said = {"global_step": step} if time is None else {"global_step": step, "time": time}
    return {"type": "metrics", "data": {**values, **said}}
