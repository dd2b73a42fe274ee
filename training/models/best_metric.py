"""The best value of a run's primary metric, as its script says it in the summary."""

import sys
from collections.abc import Mapping
from typing import Any

from mlserver.text import storable

BEST_COLUMNS = ("best_metric_name", "best_metric_value", "best_metric_step", "best_metric_mode")


def best_metric_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a run that the members `best_metric_*` of its summary fill; values of a wrong type are left out.

    Runicorn's tracking library writes them: `best_metric_value`, `_name`, `_step` and `_mode` (max or min).
    """
    value, name = summary.get("best_metric_value"), summary.get("best_metric_name")
    step, mode = summary.get("best_metric_step"), summary.get("best_metric_mode")
    found: dict[str, Any] = {}
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        found["best_metric_value"] = float(value)
    if isinstance(name, str):
        found["best_metric_name"] = storable(name)[:255]
    if isinstance(step, int) and not isinstance(step, bool) and abs(step) < 2**63:
        found["best_metric_step"] = step
    if mode in ("max", "min"):
        found["best_metric_mode"] = mode
    return found
