"""Uploads on their way to a receiver: bytes are awaited by a coroutine and written in threads, never the other way.

An upload costs the memory of few pieces: one is gathered while the one before is written, and uvicorn stops reading
the connection while neither is wanted. Files have threads of their own, so a slow disk takes none from plain requests;
a check may take a minute, so it takes none from those who write and publish either (mlserver.serving.checking).
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from django.db import close_old_connections
from django.http import HttpResponse

from mlserver.api.bodies import Failure, body_for, validation_status_of
from mlserver.api.failures import FAULT, describe
from mlserver.api.rendering import json_response
from mlserver.api.uploads import PIECE_BYTES, Receiver
from mlserver.errors import Unavailable
from mlserver.serving.checking import Checking
from mlserver.serving.request_body import Disconnected, Scope, StreamedBody, TooLarge, TooSlow

log = logging.getLogger(__name__)

# Digests and writes leave the interpreter to others; beyond two of them the disk is what there is to wait for.
WRITERS = 2
FINISHERS = 2
# Whose bytes are coming: each may hold some MiB.
MOST_UPLOADS = 64
RETRY_S = 5

T = TypeVar("T")


class Feeding:
    """All uploads of the process; call `end` when the server stops."""

    def __init__(self) -> None:
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="upload")
        self._finishers = ThreadPoolExecutor(FINISHERS, thread_name_prefix="publish")
        self._checking = Checking()
        self._receiving = 0
        self._running: set[asyncio.Task[HttpResponse]] = set()

    async def answer(self, receiver: Receiver, body: StreamedBody, scope: Scope) -> HttpResponse:
        """Feed the body; what the receiver answers, or why there is no such answer. Raises Disconnected."""
        feeding = asyncio.create_task(self._feed(receiver, body))
        self._running.add(feeding)
        feeding.add_done_callback(self._running.discard)
        try:
            await asyncio.wait([feeding])
        finally:
            feeding.cancel()
        return _outcome(feeding, scope)

    def end(self) -> None:
        """Those that are being published are not ended: nobody could say then whether they are kept."""
        for feeding in self._running:
            feeding.cancel()

    async def _feed(self, receiver: Receiver, body: StreamedBody) -> HttpResponse:
        steps = _Steps(receiver)
        with contextlib.ExitStack() as unfinished:
            unfinished.callback(self._finishers.submit, steps.abort)
            await self._receive(steps, body)
            if receiver.checked_for is not None:
                await self._checking.run(steps.check, receiver.checked_for)
            self._running.discard(_this_task())
            response = await _run(self._finishers, steps.finish)
            unfinished.pop_all()
        return response

    async def _receive(self, steps: "_Steps", body: StreamedBody) -> None:
        if self._receiving >= MOST_UPLOADS:
            raise Unavailable(f"{MOST_UPLOADS} uploads are being received; ask again in {Unavailable.retry_after_s} s")
        self._receiving += 1
        writing: asyncio.Future[None] | None = None
        try:
            while not body.is_whole:
                piece = await body.piece(PIECE_BYTES)
                if writing is not None:
                    await writing
                writing = _run(self._writers, partial(steps.write, piece))
            if writing is not None:
                await writing
        finally:
            self._receiving -= 1


class _Steps:
    """One step at a time, and after `abort` none. `abort` waits for nobody: a step that runs is followed by it."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._lock = threading.Lock()
        self._is_unwanted = False
        self._is_over = False

    def write(self, piece: bytes) -> None:
        with self._step() as may_go_on:
            if piece and may_go_on:
                self._receiver.write(piece)

    def check(self) -> None:
        with self._step() as may_go_on:
            if may_go_on:
                self._receiver.check()

    def finish(self) -> HttpResponse:
        close_old_connections()
        try:
            with self._step() as may_go_on:
                if not may_go_on:
                    raise Disconnected
                response = self._receiver.finish()
                self._is_over = True
                return response
        finally:
            close_old_connections()

    def abort(self) -> None:
        self._is_unwanted = True
        self._abort_unless_busy()

    @contextlib.contextmanager
    def _step(self) -> Iterator[bool]:
        try:
            with self._lock:
                yield not (self._is_unwanted or self._is_over)
        finally:
            if self._is_unwanted:
                self._abort_unless_busy()

    def _abort_unless_busy(self) -> None:
        """Whoever comes last does it: one that finds the lock taken was seen by the holder, who comes here too."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            if not self._is_over:
                self._is_over = True
                self._receiver.abort()
        finally:
            self._lock.release()


def _this_task() -> "asyncio.Task[Any]":
    task = asyncio.current_task()
    assert task is not None
    return task


def _run(threads: Executor, step: Callable[[], T]) -> asyncio.Future[T]:
    running = asyncio.get_running_loop().run_in_executor(threads, step)
    # Looked at even when nobody waits for it any more, because the client has gone.
    running.add_done_callback(lambda done: done.cancelled() or done.exception())
    return running


def _outcome(feeding: "asyncio.Task[HttpResponse]", scope: Scope) -> HttpResponse:
    """What was answered, or the failure as the door of the path says it. Raises Disconnected."""
    if feeding.cancelled():
        return _refusal(scope, _unavailable("the server stops; nothing of the upload was kept"))
    error = feeding.exception()
    if error is None:
        return feeding.result()
    if isinstance(error, Disconnected) or not isinstance(error, Exception):
        raise error
    return _refusal(scope, _failure(error, scope))


def _failure(error: Exception, scope: Scope) -> Failure:
    if isinstance(error, TooLarge):
        return Failure(413, str(error), "too_large")
    if isinstance(error, TooSlow):
        return Failure(408, str(error), "timeout", headers={"Connection": "close"})
    failure = describe(error)
    if failure is None:
        log.error("an upload to %s failed", scope["path"], exc_info=error)
        return FAULT
    return failure


def _unavailable(said: str) -> Failure:
    return Failure(503, f"{said}; ask again in {RETRY_S} s", "unavailable", headers={"Retry-After": str(RETRY_S)})


def _refusal(scope: Scope, failure: Failure) -> HttpResponse:
    status = validation_status_of(scope["path"]) if failure.is_validation else failure.status
    return json_response(body_for(scope["path"], scope["method"], failure), status=status, headers=failure.headers)
