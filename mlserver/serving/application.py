"""The ASGI application: Django as WSGI in a bounded pool of threads, endless answers as coroutines beside it.

A thread is taken only when the whole request body is here and given back before an endless answer is written, so
slow clients and followers cost a coroutine each, never a thread.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
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
NOT_SENT_OF_STREAMS = (streams.HEADER.lower(), "content-length")


class Disconnected(Exception):
    """The client went away before its request was whole."""


class TooLarge(Exception):
    """The body is, or says it is, longer than BODY_LIMIT_BYTES."""


class Application:
    """One for the process; call `end_streams` before the server waits for its connections."""

    def __init__(self, wsgi: Callable[..., Any], threads: int) -> None:
        self._wsgi = wsgi
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="WSGI")
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
        responder: Any = Responder(self._wsgi, self._threads, QUEUE_SIZE)
        await responder(scope, body, send)
        if responder.stream is not None:
            await self._run(responder.stream, scope["method"], receive, send)

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


class Responder(WSGIResponder):
    """One request in a thread of the pool.

    Queues the first messages without waiting for the loop to take each: one short answer is three of them. Of a
    response that names a stream it keeps the stream, here in the thread where the response is still alive.
    """

    def __init__(self, app: Any, executor: Any, send_queue_size: int) -> None:
        super().__init__(app, executor, send_queue_size)
        self.stream: streams.Stream | None = None
        self._room = send_queue_size - 1  # one place is for the end mark

    def start_response(self, status: str, response_headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        token = next((value for name, value in response_headers if name == streams.HEADER), None)
        if token is None:
            return super().start_response(status, response_headers, exc_info)
        kept = [pair for pair in response_headers if pair[0].lower() not in NOT_SENT_OF_STREAMS]
        write = super().start_response(status, kept, exc_info)
        self.stream = streams.take(token)
        return write

    def send(self, message: Any) -> None:
        if self.stream is not None:
            return  # the empty body; the stream writes its own
        if self._room:
            self._room -= 1
            self.loop.call_soon_threadsafe(self.send_queue.put_nowait, message)
        else:  # a long answer goes at the client's pace
            super().send(message)


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
