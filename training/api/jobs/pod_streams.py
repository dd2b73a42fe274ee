"""J7 followed: the log of a pod as text or as Server-Sent Events, from before its job runs until it has ended."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.db import DatabaseError, connection

from mlserver.api.streams import Send, Stream
from training.api.jobs.job_json import exit_code_of, newest_run
from training.api.native.log_events import final_status
from training.models import Run, RunProcess, Task
from training.models.task import ENDED
from training.tracking import logs

WAITING_S, STILL_THERE_S = 0.5, 15.0
FOLLOWING, STILL_FOLLOWING = b": following\n\n", b": still following\n\n"


@dataclass(frozen=True)
class Wish:
    """Which log: that of one rank of a job's newest run, from its last `tail` lines on."""

    task_id: int
    rank: int
    tail: int
    selection: logs.Selection

    def opened(self, run: Run) -> "Opened":
        """Blocks."""
        log = logs.FollowedLog(run, self.rank, 0, self.selection, is_over=run.has_ended)
        return Opened(log, log.start_with_tail(self.tail))


@dataclass(frozen=True)
class Opened:
    log: logs.FollowedLog
    first: list[logs.Line]


class PodStream(Stream):
    """`opened` None: the job has no run yet, so its first one is waited for."""

    def __init__(self, wish: Wish, opened: Opened | None) -> None:
        self._wish, self._opened = wish, opened

    async def run(self, send: Send, is_gone: Callable[[], bool]) -> None:
        opened, self._opened = self._opened, None
        if opened is None:
            opened = await self._first_run(send, is_gone)
        await (self.end(send, "null") if opened is None else self.follow(opened, send, is_gone))

    async def follow(self, opened: Opened, send: Send, is_gone: Callable[[], bool]) -> None:
        raise NotImplementedError

    async def still_there(self, send: Send) -> None:
        """Said while nothing comes."""

    async def end(self, send: Send, code: str) -> None:
        """Said at last, with the exit code."""

    async def _first_run(self, send: Send, is_gone: Callable[[], bool]) -> Opened | None:
        """None when the job ends or is deleted without one, or the client goes."""
        clock = asyncio.get_running_loop()
        said_at = -STILL_THERE_S
        while not is_gone():
            if clock.time() - said_at >= STILL_THERE_S:
                said_at = clock.time()
                await self.still_there(send)
            opened, is_over = await logs.aside(partial(look, self._wish))
            if opened is not None or is_over:
                return opened
            await asyncio.sleep(WAITING_S)
        return None


class PodText(PodStream):
    """Raw lines."""

    async def follow(self, opened: Opened, send: Send, is_gone: Callable[[], bool]) -> None:
        await self.say(send, opened.first)
        run_id = opened.log.run.pk
        async for batch in logs.follow(opened.log, lambda: final_status(run_id), is_gone):
            if not isinstance(batch, str):
                await self.say(send, batch)

    async def say(self, send: Send, lines: list[logs.Line]) -> None:
        if lines:
            await send("".join(line.text if line.is_partial else f"{line.text}\n" for line in lines).encode())


class PodEvents(PodStream):
    """One `data` for each line, a comment while nothing comes, at last `end`."""

    async def follow(self, opened: Opened, send: Send, is_gone: Callable[[], bool]) -> None:
        await send(events_of(opened.first) or FOLLOWING)
        run_id, rank = opened.log.run.pk, opened.log.rank
        async for batch in logs.follow(opened.log, lambda: last_word(run_id, rank), is_gone):
            if isinstance(batch, str):
                await self.end(send, batch)
            else:
                await send(events_of(batch) or STILL_FOLLOWING)

    async def still_there(self, send: Send) -> None:
        await send(STILL_FOLLOWING)

    async def end(self, send: Send, code: str) -> None:
        await send(f"event: end\ndata: {code}\n\n".encode())


def look(wish: Wish) -> tuple[Opened | None, bool]:
    """The log of the newest run, and whether the job has ended. Keeps no connection: followers are idle mostly."""
    try:
        status = Task.objects.visible().filter(pk=wish.task_id).values_list("status", flat=True).first()
        run = newest_run(wish.task_id)
    except DatabaseError:
        return None, False  # locked or away for a while: asked again
    finally:
        connection.close()
    return (None if run is None else wish.opened(run)), status is None or status in ENDED


def events_of(lines: list[logs.Line]) -> bytes:
    """A line with a carriage return in it is one event of several `data` fields, as the standard has it."""
    return "".join(map(event_of, lines)).encode()


def event_of(line: logs.Line) -> str:
    return "".join(f"data: {part}\n" for part in line.text.removesuffix("\r").split("\r")) + "\n"


def last_word(run_id: str, rank: int) -> str | None:
    """The exit code of an ended run's process, `null` where there is none; None while it runs."""
    if final_status(run_id) is None:
        return None
    process = RunProcess.objects.filter(run_id=run_id, rank=rank).first()
    code = exit_code_of(process) if process else None
    return "null" if code is None else str(code)
