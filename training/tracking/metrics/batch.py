"""What is logged, on its way into the store."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt
import orjson

from mlserver.text import storable as text_of

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Word = str | bool

MAX_NAME, MAX_WORD = 255, 4096
# What says where a row belongs is no metric.
AXIS_NAMES = frozenset({"global_step", "step", "epoch", "time"})


class Kind(StrEnum):
    NUMBER = "number"
    WORD = "word"


# Name and kind of each column of a group, by name.
Columns = tuple[tuple[str, Kind], ...]


@dataclass(frozen=True)
class Batch:
    """Rows of one group in the order they were said. `values` is of the names that are numbers or words, all (n,).

    steps: int64; times: float64, seconds since 1970, NaN where none was said. A missing number is NaN, a missing
    word None. `orders` (n,) says where the rows stand among all those of one `append`; without it one after the other.
    """

    steps: Integers
    times: Floats
    numbers: Mapping[str, Floats] = field(default_factory=dict)
    words: Mapping[str, Sequence[Word | None]] = field(default_factory=dict)
    orders: Integers | None = None

    def __post_init__(self) -> None:
        lengths = {len(it) for it in (self.times, *self.numbers.values(), *self.words.values())}
        if lengths != {len(self.steps)}:
            raise ValueError(f"{len(self.steps)} steps, and columns of {sorted(lengths)} rows")

    def __len__(self) -> int:
        return len(self.steps)

    @cached_property
    def columns(self) -> Columns:
        numbers = [(name, Kind.NUMBER) for name in self.numbers]
        return tuple(sorted([*numbers, *((name, Kind.WORD) for name in self.words)]))


def digest_of(value: object) -> str:
    """SHA-256 of a value as JSON."""
    return hashlib.sha256(orjson.dumps(value)).hexdigest()


def storable(text: str, limit: int) -> str:
    """`text` as every database and every JSON answer can hold it: no NUL, no half of a surrogate pair, not longer."""
    return text_of(text)[:limit]


def as_float(value: float) -> float:
    """A JSON number as float64; one that is too large is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
