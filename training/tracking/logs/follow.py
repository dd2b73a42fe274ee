"""Following a log while it grows: a blocking step for the command line, a coroutine around it for the web."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from training.tracking.logs.files import LoggedRun, has_exit_record
from training.tracking.logs.lines import Line
from training.tracking.logs.reader import Page, from_offset, indexed_end, tail
from training.tracking.logs.selection import Selection

STEP_BYTES = 256 * 1024
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 1.0
KEEP_ALIVE_S = 15.0
# How often the database is asked while there is no exit record: a launch may fail without one.
STATUS_EVERY_S = 5.0

# Reads of all followers share a few threads; an idle follower holds none, and no open file.
_readers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="log-follow")


@dataclass
class FollowedLog:
    """A position in one log that moves on with each `advance`. For one thread at a time.

    `has_more`: there is more to read at once. `has_all`: the run wrote its last byte and all of it was given.
    """

    run: LoggedRun
    rank: int = 0
    position: int = 0
    selection: Selection = field(default_factory=Selection)
    is_over: bool = False
    has_more: bool = False
    has_all: bool = False
    _seen_size: int = -1

    def start_with_tail(self, lines: int) -> list[Line]:
        """The last `lines` (0: none); the position is behind them."""
        page = tail(self.run, self.rank, max(lines, 1), self.selection)
        self.position = page.next_offset
        return [line for line in page.lines if line.end <= self.position] if lines else []

    def advance(self) -> list[Line]:
        """Lines that came since the last step, without waiting.

        A line without its end, and bytes that the index does not cover yet, are given only when they have been
        there since the step before: mostly they are a write that is still going on.
        """
        is_over = self.is_over or has_exit_record(self.run, self.rank)  # asked first: nothing is written after it
        page = self._read(is_over)
        if page.size_bytes < self.position and not is_over and page.size_bytes != self._seen_size:
            # A log that the job deleted is being copied back; one that it truncated keeps its new size.
            self._seen_size, self.has_more = page.size_bytes, False
            return []
        is_progress = page.next_offset > self.position
        self.position = page.next_offset
        self.has_more = is_progress and page.next_offset < page.size_bytes
        self.has_all = is_over and not self.has_more
        if not self.has_more:
            self._seen_size = page.size_bytes
        return page.lines

    def _read(self, is_over: bool) -> Page:
        until = None
        indexed = None if is_over else indexed_end(self.run, self.rank)
        if indexed is not None:
            until = max(indexed, self._seen_size)
        page = self._page(until, is_settled=False, is_over=is_over)
        if page.next_offset <= self.position and page.size_bytes == self._seen_size > self.position and not is_over:
            return self._page(until, is_settled=True, is_over=False)
        return page

    def _page(self, until: int | None, *, is_settled: bool, is_over: bool) -> Page:
        return from_offset(
            self.run,
            self.position,
            STEP_BYTES,
            rank=self.rank,
            selection=self.selection,
            until=until,
            is_settled=is_settled,
            is_over=is_over,
        )


async def follow(
    log: FollowedLog, final_status: Callable[[], str | None], is_gone: Callable[[], bool]
) -> AsyncIterator[list[Line] | str]:
    """Batches of lines as they come, an empty batch every 15 s without one, and at last the final status.

    `final_status()` blocks (it runs in a thread) and gives the status of an ended run, else None. Stops without
    status when `is_gone()`. The caller's pace is the reader's pace: nothing is read ahead.
    """
    clock = asyncio.get_running_loop()
    wait_s, said_at, asked_at, status = FIRST_WAIT_S, clock.time(), -STATUS_EVERY_S, None
    while not is_gone():
        lines = await clock.run_in_executor(_readers, log.advance)
        if lines or clock.time() - said_at >= KEEP_ALIVE_S:
            yield lines
            said_at = clock.time()
        if log.has_more:
            continue
        if status is not None and log.has_all:
            yield status
            return
        if log.has_all or clock.time() - asked_at >= STATUS_EVERY_S:
            asked_at = clock.time()
            status = await clock.run_in_executor(_readers, final_status)
            if status is not None:
                log.is_over = True
                continue
        wait_s = FIRST_WAIT_S if lines else min(wait_s * 1.5, LONGEST_WAIT_S)
        await asyncio.sleep(wait_s)
