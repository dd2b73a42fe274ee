"""Uploads on their way to a receiver: bytes are awaited by a coroutine and written in threads, never the other way.

An upload costs the memory of few pieces: one is gathered while the one before is written, and uvicorn stops reading
the connection while neither is wanted. Files have threads of their own, so neither a slow disk nor the check of a
data set takes one from plain requests; a check may take a minute, so it takes none from the writers either.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from django.db import close_old_connections
from django.http import HttpResponse

from mlserver.api.bodies import Failure, body_for, validation_status_of
from mlserver.api.failures import FAULT, describe
from mlserver.api.rendering import json_response
from mlserver.api.uploads import PIECE_BYTES, Receiver
from mlserver.serving.request_body import Disconnected, Scope, StreamedBody, TooLarge, TooSlow

log = logging.getLogger(__name__)

# Digests and writes leave the interpreter to others; beyond two of them the disk is what there is to wait for.
WRITERS = 2
FINISHERS = 2
# Each may hold some MiB.
MOST_UPLOADS = 64
RETRY_S = 5

T = TypeVar("T")


class Feeding:
    """All uploads of the process; call `end` when the server stops."""

    def __init__(self) -> None:
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="upload")
        self._finishers = ThreadPoolExecutor(FINISHERS, thread_name_prefix="publish")
        self._running: set[asyncio.Task[HttpResponse]] = set()

    async def answer(self, receiver: Receiver, body: StreamedBody, scope: Scope) -> HttpResponse:
        """Feed the body; what the receiver answers, or why there is no such answer. Raises Disconnected."""
        if len(self._running) >= MOST_UPLOADS:
            return _refusal(scope, _unavailable(f"{MOST_UPLOADS} uploads are being received"))
        feeding = asyncio.create_task(self._feed(receiver, body))
        self._running.add(feeding)
        feeding.add_done_callback(self._running.discard)
        try:
            await asyncio.wait([feeding])
        finally:
            feeding.cancel()
        return _outcome(feeding, scope)

    def end(self) -> None:
        for feeding in self._running:
            feeding.cancel()

    async def _feed(self, receiver: Receiver, body: StreamedBody) -> HttpResponse:
        steps = _Steps(receiver)
        writing: asyncio.Future[None] | None = None
        with contextlib.ExitStack() as unfinished:
            unfinished.callback(self._finishers.submit, steps.abort)
            while not body.is_whole:
                piece = await body.piece(PIECE_BYTES)
                if writing is not None:
                    await writing
                writing = _run(self._writers, partial(steps.write, piece))
            if writing is not None:
                await writing
            response = await _run(self._finishers, steps.finish)
            unfinished.pop_all()
        return response


class _Steps:
    """One step at a time: `abort` waits for the step that a thread is in, and nothing comes after it."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._lock = threading.Lock()
        self._is_over = False

    def write(self, piece: bytes) -> None:
        with self._lock:
            if piece and not self._is_over:
                self._receiver.write(piece)

    def finish(self) -> HttpResponse:
        close_old_connections()
        try:
            with self._lock:
                response = self._receiver.finish()
                self._is_over = True
                return response
        finally:
            close_old_connections()

    def abort(self) -> None:
        with self._lock:
            if not self._is_over:
                self._is_over = True
                self._receiver.abort()


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
