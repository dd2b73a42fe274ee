"""What R10 says on its socket: the lines of a log, each a frame, and notices in brackets."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Iterator

from django.db import DatabaseError, connection

from mlserver.api.sockets import FAULT, TRY_LATER, Close, Frame, Send
from training.models import Run
from training.tracking import logs
from training.tracking.logs import FollowedLog, Line
from training.tracking.logs.news import WatchedLog

log = logging.getLogger(__name__)

ENDS_AFTER_S = 3600.0
# The API's document has each follower look, each 0.2 to 2 s; here each is told of news within 0.1 s. One that holds
# back the beginning of a line looks soon, others now and then whatever they are told.
SOON_S, NOW_AND_THEN_S = 0.2, 5.0
WAITING_S = 2.0
STILL_THERE_S = 30.0
# Frames between two turns of everybody else.
AT_ONCE = 64

UNKNOWN = "[error] run not found"
WAITING = "[info] there is no log yet; waiting for it"
APPEARED = "[info] the log is there now"
CUT = "[info] the log is long; earlier lines are left out"
SILENT = f"[info] nothing came for {ENDS_AFTER_S:.0f} s; the server ends this connection"

_open: Counter[str] = Counter()


class LogSocket:
    """One follower of `run`, None for an unknown one. It stays when the run ends: clients reconnect at once."""

    def __init__(self, run: Run | None, address: str, most: int | None = None) -> None:
        """`most` is how many of them `address` may have at once; None: any number."""
        self._run, self._address, self._most = run, address, most
        self._news_at = 0.0

    async def received(self, frame: Frame) -> None:
        """Nothing that a client may say."""

    async def run(self, send: Send) -> Close:
        with counted(self._address) as number:
            if self._most is not None and number > self._most:
                return Close(TRY_LATER, f"{self._most} of {self._address} are open")
            try:
                return await self._say(send)
            except (OSError, DatabaseError) as error:
                log.error("the log of %s cannot be followed: %s", self._run, error)
                await send(f"[error] the log cannot be read: {error}")
                return Close(FAULT, "the log cannot be read")

    async def _say(self, send: Send) -> Close:
        if self._run is None:
            await send(UNKNOWN)
            return Close()
        followed = await self._begin(self._run, send)
        if followed is None:
            await send(SILENT)
            return Close()
        with logs.watched(followed.run, followed.rank) as watch:
            return await self._follow(followed, watch, send)

    async def _begin(self, run: Run, send: Send) -> FollowedLog | None:
        """At the last lines of the log, once there is one; None when none came in time."""
        self._news()
        start = await logs.aside(lambda: logs.start_of_tail(run))
        if start is None:
            await send(WAITING)
        while start is None:
            if self._quiet_s() >= ENDS_AFTER_S:
                return None
            await asyncio.sleep(WAITING_S)
            start = await logs.aside(lambda: logs.start_of_tail(run))
            if start is not None:
                await send(APPEARED)
        if start > 0:
            await send(CUT)
        return FollowedLog(run, position=start)

    async def _follow(self, followed: FollowedLog, watch: WatchedLog, send: Send) -> Close:
        self._news()
        looked_at = self._now()
        while self._quiet_s() < ENDS_AFTER_S:
            version = watch.version
            lines = await logs.aside(followed.advance)
            if lines:
                await send_lines(lines, send)
                self._news()
            if followed.has_more:
                continue
            if self._now() - looked_at >= STILL_THERE_S:
                looked_at = self._now()
                if not await logs.aside(lambda: is_there(followed.run.pk)):
                    await send(UNKNOWN)
                    return Close()
            await watch.changed(version, SOON_S if followed.holds_back else NOW_AND_THEN_S)
        await send(SILENT)
        return Close()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _news(self) -> None:
        self._news_at = self._now()

    def _quiet_s(self) -> float:
        return self._now() - self._news_at


async def send_lines(lines: list[Line], send: Send) -> None:
    """Blank ones are left out."""
    for number, line in enumerate(lines):
        if line.text and not line.text.isspace():
            await send(line.text)
        if number % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)


def is_there(run_id: str) -> bool:
    """The run was not deleted. Keeps no connection: followers are idle mostly."""
    try:
        return Run.objects.visible().filter(pk=run_id).exists()
    except DatabaseError:
        return True  # locked or away for a while: asked again
    finally:
        connection.close()


@contextlib.contextmanager
def counted(address: str) -> Iterator[int]:
    """How many the address has now; on the event loop alone."""
    _open[address] += 1
    try:
        yield _open[address]
    finally:
        _open[address] -= 1
        if not _open[address]:
            del _open[address]
