"""J9: the frames of a terminal, as the web clients of the Jobs API send and read them."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import orjson
from django.db import DatabaseError, connection

from mlserver.api.sockets import FAULT, GOING_AWAY, TRY_LATER, Close, Frame, Send
from mlserver.errors import Conflict
from training import terminals
from training.execution.terminal import Terminal, open_terminal
from training.models import Run
from training.terminals import Invitation

log = logging.getLogger(__name__)

# Of one person: beside the runs that are theirs.
MOST_TERMINALS, MOST_OF_ONE = 256, 64
TYPED, SIZE = b"\x00", b"\x04"
HEARTBEAT = b"\x00\x00\x00"
# A program that writes without end is read in such pieces, so often: others have the event loop in between.
BURST_BYTES, PAUSE_S = 4096, 0.01
# `closed`: we saw the end of the shell before its keeper did, and closed.
ENDED = {"shell": "the shell has ended", "closed": "the shell has ended", "run": "the run has ended"}

_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="terminal")
_open: set["TerminalSocket"] = set()

T = TypeVar("T")


class TerminalSocket:
    """One shell for one client, from its start to the record of its end."""

    def __init__(self, run: Run, invitation: Invitation, address: str) -> None:
        self._run, self._invitation, self._address = run, invitation, address
        self._terminal: Terminal | None = None
        self._lock = threading.Lock()
        self._is_over = False
        self._is_ready = asyncio.Event()
        self._heard_at = 0.0

    async def run(self, send: Send) -> Close:
        opened_at = self._heard_at = _now()
        close = Close(GOING_AWAY, "its client has gone, or the server stops")
        _open.add(self)
        try:
            close = await self._serve(send)
        finally:
            _open.discard(self)
            self._hang_up()
            after_s = _now() - opened_at
            # Waited for also when this is cancelled: the shell ends before its connection does.
            await asyncio.wait([asyncio.ensure_future(_aside(lambda: self._finish(after_s, close.reason)))])
        return close

    async def received(self, frame: Frame) -> None:
        await self._is_ready.wait()
        self._heard_at = _now()
        if self._terminal is None or frame == HEARTBEAT:
            return
        if isinstance(frame, str):
            await self._terminal.write(frame.encode())
        elif frame.startswith(TYPED):
            await self._terminal.write(frame[1:])
        elif frame.startswith(SIZE):
            self._terminal.resize(*size_of(frame[1:]))

    async def _serve(self, send: Send) -> Close:
        if reason := self._objection():
            return Close(TRY_LATER, reason)
        try:
            terminal = await _aside(self._start)
        except (Conflict, OSError) as error:
            log.warning("no terminal for %s: %s", self._run.pk, error)
            return Close(FAULT, str(error)[:120])
        self._is_ready.set()
        showing = asyncio.create_task(show(terminal, send))
        waiting = asyncio.create_task(self._silence())
        try:
            await asyncio.wait([showing, waiting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            showing.cancel()
            waiting.cancel()
        if waiting.done() and not waiting.cancelled():
            return Close(reason=f"nothing was heard for {self._invitation.silence_s} s")
        showing.result()
        return await self._farewell(send)

    def _objection(self) -> str:
        """Why no more may be opened; empty when one may."""
        if len(_open) > MOST_TERMINALS:
            return f"{MOST_TERMINALS} terminals are open; try again later"
        if sum(other._run.owner_id == self._run.owner_id for other in _open) > MOST_OF_ONE:
            return f"{MOST_OF_ONE} terminals are open beside runs of this owner; try again later"
        return ""

    async def _farewell(self, send: Send) -> Close:
        """The shell is gone, or will be in a moment."""
        self._hang_up()
        said = ENDED.get(await _aside(self._end), "the shell was lost")
        await send(f"\r\n[{said}]\r\n".encode())
        return Close(reason=said)

    async def _silence(self) -> None:
        """Until the client was not heard for too long."""
        while (left := self._heard_at + self._invitation.silence_s - _now()) > 0:
            await asyncio.sleep(left)

    def _hang_up(self) -> None:
        if self._terminal is not None:
            self._terminal.hang_up()

    def _start(self) -> Terminal:
        with self._lock:
            if self._is_over:
                raise Conflict("its client has gone")
            self._terminal = open_terminal(self._run, self._invitation.rank)
            return self._terminal

    def _end(self) -> str:
        """Once; a start that is under way is waited for."""
        with self._lock:
            terminal, self._terminal = self._terminal, None
            self._is_over = True
        if terminal is None:
            return "lost"
        terminal.hang_up()  # one that was opened too late for anybody to use it
        return terminal.end()

    def _finish(self, after_s: float, why: str) -> None:
        self._end()
        try:
            terminals.record_end(self._run, self._invitation, self._address, after_s=after_s, why=why)
        except DatabaseError as error:
            log.warning("the end of a terminal beside %s was not recorded: %s", self._run.pk, error)
        finally:
            connection.close()


async def show(terminal: Terminal, send: Send) -> None:
    """What is written on the terminal, until its end."""
    while data := await terminal.read():
        await send(data)
        if len(data) >= BURST_BYTES - 1:
            await asyncio.sleep(PAUSE_S)


def size_of(said: bytes) -> tuple[int, int]:
    """Rows and columns of `{"Height": rows, "Width": columns}`; 0 for what is no number."""
    try:
        size = orjson.loads(said)
        rows, columns = size["Height"], size["Width"]
    except (ValueError, TypeError, KeyError):
        return 0, 0
    return (rows, columns) if type(rows) is int and type(columns) is int else (0, 0)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _aside(step: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads, step)
