"""What the runs of a session wrote, as log entries: instant, level, message."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from heapq import merge
from typing import NamedTuple

from mlserver.api.reading import Row
from training.models import Run
from training.tracking import logs

# The trainer's lines. What libraries write bears no level.
LEVELLED = re.compile(r"(DEBUG|INFO|WARNING|ERROR) (.*)", re.DOTALL)
WARNING_WORD = re.compile(r"warning\b", re.IGNORECASE)
SELECTION = logs.Selection(collapse=True)


class Entry(NamedTuple):
    time: float
    level: str
    message: str


def newest_entries(runs: Iterable[Run], ranks: int, limit: int) -> list[Entry]:
    """The newest `limit` entries of `runs` (the newest run first), oldest first."""
    found: list[Entry] = []
    for run in runs:
        wanted = limit - len(found)
        entries = list(merge(*(entries_of(run, rank, wanted) for rank in range(ranks)), key=lambda entry: entry.time))
        found[:0] = entries[-wanted:]
        if len(found) == limit:
            break
    return found


def entries_of(run: Run, rank: int, limit: int) -> Iterator[Entry]:
    """Of one process, in the order of its log; a line without a time of its own has that of the line before."""
    time, is_warning = (run.started_at or run.created_at).timestamp(), False
    for line in logs.tail(run, rank, limit, SELECTION).lines:
        time = max(time, line.time or time)
        levelled = LEVELLED.match(line.text)
        if levelled:
            yield Entry(time, levelled[1], levelled[2])
            continue
        # A warning of Python goes on with the indented line that caused it.
        is_warning = bool(WARNING_WORD.search(line.text)) or (is_warning and line.text.startswith(" "))
        yield Entry(time, _level(line.stream, is_warning=is_warning), line.text)


def _level(stream: str | None, *, is_warning: bool) -> str:
    """`server`: a notice of the supervisor, for example that the log has reached its limit."""
    if stream == "stderr":
        return "WARNING" if is_warning else "ERROR"
    return "WARNING" if stream == "server" else "INFO"


def render_entries(session_id: str, entries: Iterable[Entry]) -> list[Row]:
    """T8 objects."""
    return [
        {
            "session_id": session_id,
            "timestamp": datetime.fromtimestamp(entry.time, UTC),
            "level": entry.level,
            "message": entry.message,
        }
        for entry in entries
    ]
