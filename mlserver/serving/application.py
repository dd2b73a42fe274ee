"""The ASGI application: Django as WSGI in a bounded pool of threads, long and endless answers as coroutines beside it.

A thread is taken when the whole request body is here and given back before anything is written, so slow clients and
followers cost a coroutine each, never a thread.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from mlserver.api import streams
from mlserver.api.bodies import Failure, body_for
from mlserver.serving.answer import Answer
from mlserver.serving.request_body import (
    Disconnected,
    Message,
    Receive,
    Scope,
    TooLarge,
    TooSlow,
    limit_of,
    read_body,
)

Send = Callable[[Message], Awaitable[None]]


class Application:
    """One for the process; call `end_streams` before the server waits for its connections.

    `body_limit` says how many bytes of a request body a path takes.
    """

    def __init__(self, wsgi: Callable[..., Any], threads: int, *, body_limit: Callable[[str], int] = limit_of) -> None:
        self._wsgi = wsgi
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="WSGI")
        self._body_limit = body_limit
        self._streaming: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            body = await read_body(scope, receive, self._body_limit(scope["path"]))
        except Disconnected:
            return
        except TooLarge as error:
            await refuse(scope, send, Failure(413, str(error), "too_large"))
            return
        except TooSlow as error:
            await refuse(scope, send, Failure(408, str(error), "timeout"))
            return
        drop_ambiguous_headers(scope)
        await self._answer(Answer(self._wsgi, scope, body), scope["method"], receive, send)

    async def _answer(self, answer: Answer, method: str, receive: Receive, send: Send) -> None:
        first = await self._in_thread(answer.begin)
        try:
            await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
            if answer.stream is not None and method != "HEAD":
                await _until_gone(self._write_stream(answer.stream, send), receive)
                first = b""
            elif not answer.is_whole and method != "HEAD":
                if not await _until_gone(self._write_pieces(answer, first, send), receive):
                    return
                first = b""
            await send({"type": "http.response.body", "body": first})
        finally:
            if not answer.is_whole:
                self._threads.submit(answer.close)

    async def _in_thread(self, step: Callable[[], bytes]) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._threads, step)

    async def _write_pieces(self, answer: Answer, first: bytes, send: Send) -> None:
        """A long body; the next piece is fetched when the one before has left."""
        await send(_part(first))
        while not answer.is_whole:
            await send(_part(await self._in_thread(answer.piece)))

    async def _write_stream(self, stream: streams.Stream, send: Send) -> None:
        this = asyncio.current_task()
        assert this is not None

        async def send_chunk(chunk: bytes) -> None:
            await send(_part(chunk))

        self._streaming.add(this)
        try:
            await stream.run(send_chunk, lambda: this.cancelling() > 0)
        finally:
            self._streaming.discard(this)

    def end_streams(self) -> None:
        for writing in self._streaming:
            writing.cancel()


def _part(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def _until_gone(body: Coroutine[Any, Any, None], receive: Receive) -> bool:
    """Write `body`; False when it was cancelled before its end, because the client went or the server stops."""
    writing = asyncio.create_task(body)
    watching = asyncio.create_task(_cancel_when_gone(receive, writing))
    try:
        await asyncio.wait([writing])
    finally:
        writing.cancel()
        watching.cancel()
    if writing.cancelled():
        return False
    writing.result()
    return True


async def _cancel_when_gone(receive: Receive, writing: asyncio.Task[None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    writing.cancel()


def drop_ambiguous_headers(scope: Scope) -> None:
    """`X_Forwarded_For` would reach Django under the name of `X-Forwarded-For`, past a proxy that sets the latter."""
    if any(b"_" in name for name, _ in scope["headers"]):
        scope["headers"] = [pair for pair in scope["headers"] if b"_" not in pair[0]]


async def refuse(scope: Scope, send: Send, failure: Failure) -> None:
    """Answered without Django. Of a body that was too slow nobody waits for the rest: the connection is closed."""
    body = orjson.dumps(body_for(scope["path"], scope["method"], failure))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if failure.status == 408:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": failure.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
