"""Following a log while it grows: a blocking step for the command line, a coroutine around it for the web."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from training.tracking.logs.files import LoggedRun, has_exit_record
from training.tracking.logs.lines import Line, rotated_away
from training.tracking.logs.news import aside, watched
from training.tracking.logs.reader import Page, from_offset, indexed_end, tail
from training.tracking.logs.selection import Selection

# What a step reads: many lines of a few bytes cost fifty times their bytes while a slow client takes them. A line that
# is longer gets the larger step.
STEP_BYTES, LONG_LINE_BYTES = 8 * 1024, 256 * 1024
# A line that grows without an end, such as a progress bar, is shown as far as it came once in this time.
HOLD_S = 1.0


@dataclass(frozen=True)
class Pace:
    """How often a follower looks while it holds something back, in seconds: rarer from the first to the longest wait.

    One that holds back nothing looks when its log has changed, and every `status_every_s` whatever is said of it.

    Without an exit record the database is asked every `status_every_s`: a launch may fail without one.
    """

    first_wait_s: float = 0.1
    longest_wait_s: float = 1.0
    keep_alive_s: float = 15.0
    status_every_s: float = 5.0


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
    _held_since: float | None = None

    @property
    def holds_back(self) -> bool:
        """A look soon may give more: there is a line without its end, text without index, or a log that shrank."""
        return self.position != self._seen_size

    def start_with_tail(self, lines: int) -> list[Line]:
        """The last `lines` (0: none); the position is behind them."""
        page = tail(self.run, self.rank, max(lines, 1), self.selection)
        self.position = page.next_offset
        return [line for line in page.lines if line.end <= self.position] if lines else []

    def advance(self) -> list[Line]:
        """Lines that came since the last step, without waiting.

        A line without its end, and bytes that the index does not cover yet, are given only when they have been
        there since the step before: mostly they are a write that is still going on. A line that goes on and on is
        given in pieces, about one a second. In the place of text that was rotated away before it was read stands a
        line that says so.
        """
        is_over = self.is_over or has_exit_record(self.run, self.rank)  # asked first: nothing is written after it
        page = self._read(is_over)
        if page.size_bytes < self.position and not is_over and page.size_bytes != self._seen_size:
            # A log that the job deleted is being copied back; one that it truncated keeps its new size.
            self._seen_size, self.has_more = page.size_bytes, False
            return []
        is_progress = page.next_offset > self.position
        lines = [rotated_away(self.position, page.kept_from)] if page.kept_from > self.position else []
        self.position = page.next_offset
        self.has_more = is_progress and page.next_offset < page.size_bytes
        self.has_all = is_over and not self.has_more
        if not self.has_more:
            self._seen_size = page.size_bytes
        return lines + page.lines

    def _read(self, is_over: bool) -> Page:
        until = None
        indexed = None if is_over else indexed_end(self.run, self.rank)
        if indexed is not None:
            until = max(indexed, self._seen_size)
        page = self._page(until, is_settled=False, is_over=is_over)
        is_held = page.next_offset <= self.position and page.next_offset < page.size_bytes and not is_over
        if not is_held:
            self._held_since = None
            return page
        now = time.monotonic()
        self._held_since = self._held_since or now
        if page.size_bytes != self._seen_size and now - self._held_since < HOLD_S:
            return page
        self._held_since = None
        return self._page(until, is_settled=True, is_over=False)

    def _page(self, until: int | None, *, is_settled: bool, is_over: bool) -> Page:
        page = self._step(until, STEP_BYTES, is_settled=is_settled, is_over=is_over)
        is_piece = bool(page.lines) and page.lines[-1].is_partial and page.next_offset < page.size_bytes
        return self._step(until, LONG_LINE_BYTES, is_settled=is_settled, is_over=is_over) if is_piece else page

    def _step(self, until: int | None, size: int, *, is_settled: bool, is_over: bool) -> Page:
        return from_offset(
            self.run,
            self.position,
            size,
            rank=self.rank,
            selection=self.selection,
            until=until,
            is_settled=is_settled,
            is_over=is_over,
        )


async def follow(
    log: FollowedLog,
    final_status: Callable[[], str | None],
    is_gone: Callable[[], bool],
    pace: Pace = Pace(),  # noqa: B008  frozen
) -> AsyncIterator[list[Line] | str]:
    """Batches of lines as they come, an empty batch after each `keep_alive_s` without one, at last the final status.

    `final_status()` blocks (it runs in a thread) and gives the status of an ended run, else None. Stops without
    status when `is_gone()`. The caller's pace is the reader's pace: nothing is read ahead.
    """
    clock = asyncio.get_running_loop()
    wait_s, said_at, asked_at, status = pace.first_wait_s, clock.time(), -pace.status_every_s, None
    with watched(log.run, log.rank) as watch:
        while not is_gone():
            version = watch.version
            lines = await aside(log.advance)
            if lines or clock.time() - said_at >= pace.keep_alive_s:
                yield lines
                said_at = clock.time()
            if log.has_more:
                continue
            if status is not None and log.has_all:
                yield status
                return
            if log.has_all or clock.time() - asked_at >= pace.status_every_s:
                asked_at = clock.time()
                status = await aside(final_status)
                if status is not None:
                    log.is_over = True
                    continue
            wait_s = pace.first_wait_s if lines else min(wait_s * 1.5, pace.longest_wait_s)
            if log.holds_back or log.has_all:
                await asyncio.sleep(wait_s)
            else:
                await watch.changed(version, min(pace.status_every_s, pace.keep_alive_s))
