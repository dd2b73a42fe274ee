"""The best value of the metric by which a run is judged."""

import operator
import time
from collections.abc import Mapping
from typing import Any

from mlserver_client.lines import number

# A run that improves at each step does not rewrite its summary at each step.
WRITE_EVERY_S = 1.0


class Best:
    """Not safe in threads by itself: the run's lock is held around `look`."""

    def __init__(self, name: str, mode: str) -> None:
        """Raises ValueError when `mode` is neither `max` nor `min`."""
        if mode not in ("max", "min"):
            raise ValueError(f"mode {mode!r} is neither 'max' nor 'min'")
        self.name, self.mode = str(name), mode
        self._is_better = operator.gt if mode == "max" else operator.lt
        self.value: float | None = None
        self.step: int | None = None
        self._wait_until = 0.0
        self.is_unwritten = True

    def is_worth_a_look(self, data: Mapping[str, Any]) -> bool:
        """False for what is certainly no news; needs no lock."""
        value, best = data.get(self.name), self.value
        return self.is_unwritten or type(value) is not float or best is None or self._is_better(value, best)

    def look(self, data: Mapping[str, Any], step: int) -> bool:
        """Take a better value; True when it is time to write what was found."""
        value = number(data.get(self.name))
        if value is not None and (self.value is None or self._is_better(value, self.value)):
            self.value, self.step, self.is_unwritten = value, step, True
        return self.is_unwritten and time.monotonic() >= self._wait_until

    def take_summary(self) -> dict[str, Any]:
        """What the summary shall say; it counts as written."""
        self.is_unwritten, self._wait_until = False, time.monotonic() + WRITE_EVERY_S
        named = {"value": self.value, "name": self.name, "step": self.step, "mode": self.mode}
        return {f"best_metric_{part}": value for part, value in named.items()}
