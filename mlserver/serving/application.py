"""The ASGI application: Django as WSGI in a bounded pool of threads, long and endless answers as coroutines beside it.

A thread is taken when the whole request body is here and given back before anything is written, so slow clients and
followers cost a coroutine each, never a thread; so do WebSockets (mlserver.serving.sockets). Of an upload the thread is
taken first, for the headers alone; its body is fed to a receiver (mlserver.serving.feeding).
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from django.http import HttpResponse

from mlserver.api import streams, uploads
from mlserver.api.bodies import Failure, body_for
from mlserver.serving.answer import Answer, Headers
from mlserver.serving.feeding import Feeding
from mlserver.serving.headers import drop_ambiguous_headers
from mlserver.serving.request_body import (
    Disconnected,
    Message,
    Receive,
    Scope,
    StreamedBody,
    TooLarge,
    TooSlow,
    limit_of,
    read_body,
    upload_limit_of,
)
from mlserver.serving.sockets import Sockets

Send = Callable[[Message], Awaitable[None]]
NOT_READ_ON = (401, 408, 413, 503)


class Application:
    """One for the process; call `end_streams` before the server waits for its connections.

    `body_limit` says how many bytes of a request body a path takes; `upload_limit` those of a request whose body is
    not collected but streamed, None for any other.
    """

    def __init__(
        self,
        wsgi: Callable[..., Any],
        threads: int,
        *,
        body_limit: Callable[[str], int] = limit_of,
        upload_limit: Callable[[Scope], int | None] = upload_limit_of,
    ) -> None:
        self._wsgi = wsgi
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="WSGI")
        self._feeding = Feeding()
        self._sockets = Sockets(wsgi, self._threads)
        self._body_limit = body_limit
        self._upload_limit = upload_limit
        self._streaming: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._sockets.serve(scope, receive, send)
            return
        limit = self._upload_limit(scope)
        if limit is not None:
            await self._upload(scope, StreamedBody(receive, limit), receive, send)
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

    async def _upload(self, scope: Scope, body: StreamedBody, receive: Receive, send: Send) -> None:
        """The view first. Whatever is answered before the body is whole is sent at once; then the rest is read."""
        drop_ambiguous_headers(scope)
        # Django refuses chunks, which WSGI does not know; here it never sees any.
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"transfer-encoding"]
        answer = Answer(self._wsgi, scope, b"", {uploads.IS_FED: True})
        first = await self._in_thread(answer.begin)
        if answer.receiver is None:
            await self._write(answer, first, scope["method"], receive, self._reading_rest(body, send, answer.status))
            return
        try:
            said = await self._feeding.answer(answer.receiver, body, scope)
        except Disconnected:
            return
        send = self._reading_rest(body, send, said.status_code)
        await send({"type": "http.response.start", "status": said.status_code, "headers": _headers(answer, said)})
        await send({"type": "http.response.body", "body": said.content})

    async def _answer(self, answer: Answer, method: str, receive: Receive, send: Send) -> None:
        first = await self._in_thread(answer.begin)
        await self._write(answer, first, method, receive, send)

    async def _write(self, answer: Answer, first: bytes, method: str, receive: Receive, send: Send) -> None:
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

    def _reading_rest(self, body: StreamedBody, send: Send, status: int) -> Send:
        """Reads what is left of the body between the last byte of the answer and its end.

        The client has its answer meanwhile; one that looks at it only after it has sent everything finds it, and
        the connection goes on. Of a body that comes from nobody knows whom, too slowly, without a bound, or to a
        server that is busy or stops, nobody waits for the rest: the protocol reads on for a moment, or closes.
        """

        async def sending(message: Message) -> None:
            is_end = message["type"] == "http.response.body" and not message.get("more_body")
            if is_end and not body.is_whole and status not in NOT_READ_ON:
                await send({**message, "more_body": True})
                await self._until_stop(body.discard())
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        return sending

    async def _until_stop(self, waiting: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(waiting)
        self._streaming.add(task)
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            self._streaming.discard(task)

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
        self._feeding.end()
        self._sockets.end()
        for writing in self._streaming:
            writing.cancel()


def _part(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}


def _headers(answer: Answer, said: HttpResponse) -> Headers:
    """Those of `said`, and those of the first answer that it does not name."""
    own = {name.lower(): value for name, value in said.items()} | {"content-length": str(len(said.content))}
    encoded = [(name.encode("latin1"), value.encode("latin1")) for name, value in own.items()]
    return [pair for pair in answer.headers if pair[0].decode("latin1") not in own] + encoded


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


async def refuse(scope: Scope, send: Send, failure: Failure) -> None:
    """Answered without Django. Of a body that was too slow nobody waits for the rest: the connection is closed."""
    body = orjson.dumps(body_for(scope["path"], scope["method"], failure))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if failure.status == 408:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": failure.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
