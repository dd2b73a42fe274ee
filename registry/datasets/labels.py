"""What a column of labels is: classes, whole numbers that may be taken for classes, or numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

MAX_CLASSES = 10_000
MAX_WHOLE_NUMBERS = 100
"""More different whole numbers than this are a quantity, not names."""
MAX_FLOAT32 = 3.4028234e38


@dataclass(frozen=True)
class Labels:
    """`values` are the sorted different labels (text, or whole numbers) unless the target is numbers."""

    target: str
    values: tuple[Any, ...] = ()

    @property
    def classes(self) -> list[str] | None:
        if self.target == "numbers":
            return None
        return [value if isinstance(value, str) else str(int(value)) for value in self.values]

    @property
    def class_count(self) -> int | None:
        return None if self.target == "numbers" else len(self.values)

    def are_numbers(self, *, as_numbers: bool) -> bool:
        """Whether samples get the label's value (float32), not the number of its class (int64)."""
        return self.target == "numbers" or (self.target == "integers" and as_numbers)

    def encoded(self, labels: Any, *, as_numbers: bool) -> np.ndarray:
        """`labels`: (n,) texts or numbers as surveyed; gives (n,) float32 values or int64 class numbers."""
        import numpy as np

        if self.are_numbers(as_numbers=as_numbers):
            return np.asarray(labels, dtype=np.float32)
        if self.values and isinstance(self.values[0], str):
            numbers = {value: number for number, value in enumerate(self.values)}
            return np.fromiter((numbers[str(label)] for label in labels), dtype=np.int64, count=len(labels))
        return np.searchsorted(np.asarray(self.values, dtype=np.float64), np.asarray(labels, dtype=np.float64))


@dataclass
class LabelSurvey:
    """Fed with all labels in parts, it remembers a bounded number of them and then says what they are."""

    texts: set[str] = field(default_factory=set)
    numbers: set[float] = field(default_factory=set)
    is_text: bool = False
    is_whole: bool = True
    fault: str = ""

    def add_numbers(self, values: Iterable[float], *, first_row: int = 0) -> None:
        """Numbers of the rows from `first_row` (0 is the first sample) on."""
        values = list(values)
        self._check(values, first_row)
        if self.is_whole and len(self.numbers) <= MAX_WHOLE_NUMBERS:
            self.numbers.update(values)
        self.is_whole = self.is_whole and all(map(float.is_integer, values))

    def add_texts(self, values: Iterable[str]) -> None:
        """Texts, also of numbers: a later label may show that all are names."""
        if len(self.texts) <= MAX_CLASSES:
            self.texts.update(values)

    def _check(self, values: list[float], first_row: int) -> None:
        if self.fault or (all(map(math.isfinite, values)) and max(map(abs, values), default=0.0) <= MAX_FLOAT32):
            return
        row = next(row for row, value in enumerate(values, first_row + 1) if not abs(value) <= MAX_FLOAT32)
        self.fault = f"sample {row} has no label that is a number within the range of 32 bit floats"

    def result(self) -> tuple[Labels | None, str]:
        """The labels, or None and the reason why nothing can be trained on them."""
        if self.fault:
            return None, self.fault
        if self.is_text:
            return _named(tuple(sorted(self.texts)), "classes")
        if not self.is_whole or len(self.numbers) > MAX_WHOLE_NUMBERS:
            return Labels("numbers"), ""
        values = tuple(sorted(self.numbers))
        counted = [float(number) for number in range(len(values))]
        is_counted = list(values) == counted or list(values) == [number + 1 for number in counted]
        return _named(values, "classes" if is_counted else "integers")


def _named(values: tuple[Any, ...], target: str) -> tuple[Labels | None, str]:
    if len(values) > MAX_CLASSES:
        return None, f"there are more than {MAX_CLASSES} different labels, too many to be classes"
    if len(values) < 2:
        return None, "all samples have the same label, so there is nothing to learn"
    return Labels(target, values), ""
