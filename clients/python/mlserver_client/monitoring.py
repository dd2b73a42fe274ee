"""Alerts: what of the numbers that a run logs its people should see in the log."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlserver_client.lines import as_float, number


@dataclass
class AnomalyDetector:
    """Finds losses that are NaN or infinite, by one of `words` in their names; says it once, until they mend."""

    words: tuple[str, ...] = ("loss",)
    bad: set[str] = field(default_factory=set)

    def check(self, values: Mapping[str, Any], step: int) -> list[str]:
        """A sentence for each metric that has just become bad."""
        said = []
        for name, value in values.items():
            found = as_float(value)
            if found is None or not any(word in str(name).lower() for word in self.words):
                continue
            if math.isfinite(found):
                self.bad.discard(name)
            elif name not in self.bad:
                self.bad.add(name)
                said.append(f"{name} is {'NaN' if math.isnan(found) else 'infinite'} at step {step}")
        return said


@dataclass
class Rule:
    name: str
    metric: str
    condition: Callable[[float], bool]
    message: str
    holds: bool = False


class Monitor:
    """Rules of the user's own: each says once that it holds, until it holds no more."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def add_rule(self, name: str, metric: str, condition: Callable[[float], bool], message: str = "") -> "Monitor":
        """`condition` gets each finite value of `metric`; what it raises is no alert."""
        self.rules.append(Rule(name, metric, condition, message))
        return self

    def check(self, values: Mapping[str, Any], step: int) -> list[str]:
        said = []
        for rule in self.rules:
            value = number(values.get(rule.metric))
            if value is None:
                continue
            held, rule.holds = rule.holds, bool(rule.condition(value))
            if rule.holds and not held:
                about = rule.message or f"{rule.metric} is {value:g}"
                said.append(f"{rule.name}: {about} at step {step}")
        return said
