"""What is said of a run as a whole: `summary.json`, `status.json` and `environment.json`, read from its directory.

The files are the job's, so nothing in them is trusted: they are bounded, cleaned, and a link is no file.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlserver.errors import Invalid
from mlserver.text import storable
from training import paths
from training.models import Event, Run
from training.tracking import spool
from training.tracking.job_files import opened_in_run

MAX_FILE_BYTES = 1024**2
MAX_DEPTH = 32
REASON_CHARACTERS = 500


def take_in_summary(run: Run) -> bool:
    """Merge `summary.json` into the summary of the run; False when there is nothing new in it.

    One that is too large or too deep is left out, with an event.
    """
    told = read_object(run, paths.SUMMARY_NAME)
    if not told:
        return False
    try:
        return run.merge_summary(cleaned(told))
    except Invalid as refusal:
        Event.objects.say_again("SummaryRefused", f"{paths.SUMMARY_NAME}: {refusal.message}", run=run)
        return False


class ToldFiles:
    """Which state of the files of active runs was taken in; one that forgot everything takes them in once more.

    `takers`: by name of a file in the run directory, what takes it in.
    """

    def __init__(self, takers: Mapping[str, Callable[[Run], object]]) -> None:
        self._takers = takers
        self._seen: dict[tuple[str, str], tuple[int, ...]] = {}

    def take_in_all(self, node_id: int) -> None:
        """One query, and a look at each file of each run of the node."""
        runs = {run.pk: run for run in Run.objects.active().filter(node=node_id).select_related("task", "node")}
        self._seen = {key: state for key, state in self._seen.items() if key[0] in runs}
        for run in runs.values():
            for name, take_in in self._takers.items():
                state = state_of(run, name)
                if state is not None and self._seen.get((run.pk, name)) != state:
                    take_in(run)
                    self._seen[run.pk, name] = state


def state_of(run: Run, name: str) -> tuple[int, ...] | None:
    """Another one after each change of the file; None without it."""
    with opened_in_run(run, name) as file:
        return (file.facts.st_ino, file.size, file.facts.st_mtime_ns) if file is not None else None


@dataclass(frozen=True)
class Ending:
    """How the script said that it ended; empty where it said nothing."""

    status: str = ""
    reason: str = ""

    @property
    def is_failure(self) -> bool:
        return self.status in ("failed", "interrupted")

    def __str__(self) -> str:
        return f"{self.status} ({self.reason})" if self.reason else self.status


def ending(run: Run) -> Ending:
    """Of `status.json`."""
    told = read_object(run, paths.STATUS_NAME)
    status, reason = (
        storable(word)[:REASON_CHARACTERS].strip() if isinstance(word, str) else ""
        for word in (told.get("status"), told.get("exit_reason"))
    )
    return Ending(status, reason)


def read_object(run: Run, name: str) -> dict[str, Any]:
    """Empty when there is no such file, or none that can be read."""
    with opened_in_run(run, name) as file:
        content = file.read(0, file.size) if file is not None and file.size <= MAX_FILE_BYTES else b""
    return spool.parsed(content) or {} if content else {}


def cleaned(told: Mapping[str, Any]) -> dict[str, Any]:
    """As every database stores it and every door answers it: null for NaN and infinity, text without NUL.

    Raises Invalid for what is nested too deep.
    """
    return {storable(str(name)): _clean(name, value, MAX_DEPTH) for name, value in told.items()}


def _clean(name: str, value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict | list) and not levels:
        raise Invalid.field(storable(name), f"it is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {storable(key): _clean(name, part, levels - 1) for key, part in value.items()}
    if isinstance(value, list):
        return [_clean(name, part, levels - 1) for part in value]
    return _number(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _number(value: float) -> float | None:
    """Whole numbers beyond 64 bits become floating-point."""
    try:
        number = value if isinstance(value, int) and -(2**63) <= value < 2**63 else float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
