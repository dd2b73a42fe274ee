"""Which followed logs have changed: one look at all of them in one thread, instead of one by every follower.

A look compares what the file system says of a log; to read it is the business of those who are told. It sees the files
of the supervisor where there are any, because jobs have no say in them.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar
from weakref import WeakKeyDictionary

from training import paths
from training.tracking.logs.files import LoggedRun

LOOK_EVERY_S = 0.1

# Reads of all followers share a few threads; an idle follower holds none, and no open file.
_readers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="log-follow")

Mark = tuple[int, ...]
T = TypeVar("T")


async def aside(step: Callable[[], T]) -> T:
    """`step`, which reads a log or asks the database, in one of the threads of all followers."""
    return await asyncio.get_running_loop().run_in_executor(_readers, step)


@contextlib.contextmanager
def watched(run: LoggedRun, rank: int) -> Iterator["WatchedLog"]:
    """The log is looked at until the last of its followers leaves; for coroutines."""
    loop = asyncio.get_running_loop()
    with _watches.setdefault(loop, Watch()).following(run, rank) as log:
        yield log


class WatchedLog:
    """`version` counts the changes that were seen."""

    def __init__(self, run: LoggedRun, rank: int) -> None:
        control = paths.control_dir(run.pk, rank)
        self._index, self._end = str(control / "logs.idx"), str(control / "exit.json")
        self._text = str(run.directory / paths.log_name(rank))
        self.followers = self.version = 0
        self._mark: Mark | None = None
        self._waiting: set[asyncio.Future[None]] = set()

    async def changed(self, since: int, within_s: float) -> None:
        """Returns at once when `version` is not `since` any more, else at the next change or after `within_s`."""
        if self.version != since:
            return
        loop = asyncio.get_running_loop()
        told = loop.create_future()
        timer = loop.call_later(within_s, _tell, told)
        self._waiting.add(told)
        try:
            await told
        finally:
            timer.cancel()
            self._waiting.discard(told)

    def look(self) -> Mark:
        index = _facts_of(self._index)
        return (index or _facts_of(self._text)) + _facts_of(self._end)

    def note(self, mark: Mark) -> None:
        """What a look saw; followers are told when it is news. The first look may have come after a change."""
        if mark != self._mark:
            self._mark = mark
            self.version += 1
            for told in self._waiting:
                _tell(told)


class Watch:
    """All followed logs of one event loop."""

    def __init__(self) -> None:
        self._logs: dict[tuple[str, int], WatchedLog] = {}
        self._looking: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def following(self, run: LoggedRun, rank: int) -> Iterator[WatchedLog]:
        key = (run.pk, rank)
        log = self._logs.setdefault(key, WatchedLog(run, rank))
        log.followers += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            yield log
        finally:
            log.followers -= 1
            if not log.followers:
                del self._logs[key]

    async def _look(self) -> None:
        while logs := list(self._logs.values()):
            for log, mark in zip(logs, await aside(partial(_look_at, logs)), strict=True):
                log.note(mark)
            await asyncio.sleep(LOOK_EVERY_S)


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, Watch] = WeakKeyDictionary()


def _look_at(logs: list[WatchedLog]) -> list[Mark]:
    return [log.look() for log in logs]


def _facts_of(path: str) -> Mark:
    """Empty when it cannot be seen."""
    try:
        facts = os.lstat(path)
    except OSError:
        return ()
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _tell(told: "asyncio.Future[None]") -> None:
    if not told.done():
        told.set_result(None)
