"""A followed log as Server-Sent Events (HTML standard, section 9.2)."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from django.db import DatabaseError, connection

from mlserver.api.rendering import to_json
from mlserver.api.streams import Send
from training.models import Run
from training.models.run import ENDED
from training.tracking.logs import FollowedLog, Line, follow

KEEP_ALIVE = b": still following\n\n"


class LogEvents:
    """Stream of one follower: `line` events whose id is the offset behind the line, then one `end`."""

    def __init__(self, log: FollowedLog, first: list[Line]) -> None:
        self._log, self._first = log, first

    async def run(self, send: Send, is_gone: Callable[[], bool]) -> None:
        # Something at once, so that a client knows it is connected.
        first, self._first = line_events(self._first), []
        await send(first or KEEP_ALIVE)
        del first
        run_id = self._log.run.pk
        async for batch in follow(self._log, lambda: final_status(run_id), is_gone):
            if isinstance(batch, str):
                await send(b"event: end\ndata: %s\n\n" % to_json({"status": batch}))
            else:
                await send(line_events(batch) or KEEP_ALIVE)


def line_events(lines: Iterable[Line]) -> bytes:
    return b"".join(b"event: line\nid: %d\ndata: %s\n\n" % (line.end, to_json(line_json(line))) for line in lines)


def line_json(line: Line) -> dict[str, object]:
    """One line as every answer of N9 shows it."""
    return {
        "offset": line.offset,
        "time": _instant(line.time),
        "stream": line.stream,
        "text": line.text,
        "is_partial": line.is_partial,
    }


def final_status(run_id: str) -> str | None:
    """Status of an ended run, `deleted` without row, else None. Keeps no connection: followers are idle mostly."""
    try:
        status = Run.objects.filter(pk=run_id).values_list("status", flat=True).first()
    except DatabaseError:
        # Locked or away for a while: the follower asks again.
        return None
    finally:
        connection.close()
    if status is None:
        return "deleted"
    return status if status in ENDED else None


def _instant(time: float | None) -> datetime | None:
    try:
        return None if time is None else datetime.fromtimestamp(time, UTC)
    except (ValueError, OverflowError):
        return None
