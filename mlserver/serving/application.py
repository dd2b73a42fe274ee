"""The ASGI application: Django as WSGI in a bounded pool of threads, endless answers as coroutines beside it.

A thread is taken only when the whole request body is here and given back before an endless answer is written, so
slow clients and followers cost a coroutine each, never a thread.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
from a2wsgi import WSGIMiddleware
from a2wsgi.wsgi import WSGIResponder

from mlserver.api import streams
from mlserver.api.bodies import Failure, body_for

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Above every limit of a Django view; larger uploads have coroutines of their own.
BODY_LIMIT_BYTES = 4 * 1024**2
QUEUE_SIZE = 10
STREAM_HEADER = streams.HEADER.lower().encode()


class Disconnected(Exception):
    """The client went away before its request was whole."""


class TooLarge(Exception):
    """The body is, or says it is, longer than BODY_LIMIT_BYTES."""


class Application:
    """One for the process; call `end_streams` before the server waits for its connections."""

    def __init__(self, wsgi: Callable[..., Any], threads: int) -> None:
        self._wsgi = WSGIMiddleware(wsgi, workers=threads, send_queue_size=QUEUE_SIZE)
        self._streaming: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            body = await read_body(scope, receive)
        except Disconnected:
            return
        except TooLarge:
            await send_too_large(scope, send)
            return
        drop_ambiguous_headers(scope)
        head = _Head(send)
        await Responder(self._wsgi.app, self._wsgi.executor, QUEUE_SIZE)(scope, body, head.send)
        if head.stream is not None:
            await self._run(head.stream, scope["method"], receive, send)

    async def _run(self, stream: streams.Stream, method: str, receive: Receive, send: Send) -> None:
        """The body of an endless answer, until it ends, the client goes or the server stops."""
        if method != "HEAD":
            writing = asyncio.create_task(self._write(stream, send))
            self._streaming.add(writing)
            watching = asyncio.create_task(_cancel_when_gone(receive, writing))
            try:
                await asyncio.wait([writing])
            finally:
                writing.cancel()
                watching.cancel()
                self._streaming.discard(writing)
            if not writing.cancelled():
                writing.result()
        await send({"type": "http.response.body", "body": b""})

    async def _write(self, stream: streams.Stream, send: Send) -> None:
        this = asyncio.current_task()

        async def send_chunk(chunk: bytes) -> None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

        await stream.run(send_chunk, lambda: this is None or this.cancelling() > 0)

    def end_streams(self) -> None:
        for writing in self._streaming:
            writing.cancel()


class Responder(WSGIResponder):  # type: ignore[misc]  # a2wsgi's types are of its own
    """Queues the first messages without waiting for the loop to take each: one short answer is three of them."""

    def __init__(self, app: Any, executor: Any, send_queue_size: int) -> None:
        super().__init__(app, executor, send_queue_size)
        self._room = send_queue_size - 1  # one place is for the end mark

    def send(self, message: Any) -> None:
        if self._room:
            self._room -= 1
            self.loop.call_soon_threadsafe(self.send_queue.put_nowait, message)
        else:  # a long answer goes at the client's pace
            super().send(message)


class _Head:
    """Passes a response on, but keeps the empty body of one that has a stream."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.stream: streams.Stream | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._send(self._without_stream(message))
        elif self.stream is None:
            await self._send(message)

    def _without_stream(self, message: Message) -> Message:
        token = next((value for name, value in message["headers"] if name == STREAM_HEADER), None)
        if token is None:
            return message
        self.stream = streams.take(token.decode())
        kept = [pair for pair in message["headers"] if pair[0] not in (STREAM_HEADER, b"content-length")]
        return {**message, "headers": kept}


async def _cancel_when_gone(receive: Receive, writing: asyncio.Task[None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    writing.cancel()


async def read_body(scope: Scope, receive: Receive) -> Receive:
    """A `receive` that gives the whole body at once; raises TooLarge or Disconnected.

    A body without a declared length gets one, because WSGI knows no other.
    """
    headers = dict(scope["headers"])
    declared = headers.get(b"content-length")
    if declared is None and b"transfer-encoding" not in headers:
        return _given(b"")
    if declared is not None and int(declared) > BODY_LIMIT_BYTES:
        raise TooLarge
    body = await _collect(receive)
    if declared is None:
        kept = [pair for pair in scope["headers"] if pair[0] != b"transfer-encoding"]
        scope["headers"] = [*kept, (b"content-length", str(len(body)).encode())]
    return _given(body)


async def _collect(receive: Receive) -> bytes:
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > BODY_LIMIT_BYTES:
            raise TooLarge
        if not message.get("more_body"):
            return b"".join(chunks)


def _given(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def drop_ambiguous_headers(scope: Scope) -> None:
    """`X_Forwarded_For` would reach Django under the name of `X-Forwarded-For`, past a proxy that sets the latter."""
    if any(b"_" in name for name, _ in scope["headers"]):
        scope["headers"] = [pair for pair in scope["headers"] if b"_" not in pair[0]]


async def send_too_large(scope: Scope, send: Send) -> None:
    failure = Failure(413, f"the body is refused: it must be at most {BODY_LIMIT_BYTES} bytes", "too_large")
    body = orjson.dumps(body_for(scope["path"], scope["method"], failure))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
