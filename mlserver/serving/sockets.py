"""WebSockets beside HTTP: the handshake is a GET in a thread, the connection then a coroutine (mlserver.api.sockets).

A key may come as the subprotocol `mlserver.key.<key>`, because browsers let a page set no header of a handshake. It is
taken away before Django sees the headers and is never answered; the first other subprotocol is.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any, NamedTuple
from urllib.parse import unquote

import orjson

from mlserver.api import sockets
from mlserver.api.bodies import Failure, body_for
from mlserver.api.sockets import Close, Frame, Socket
from mlserver.serving.answer import Answer, Headers
from mlserver.serving.headers import drop_ambiguous_headers
from mlserver.serving.request_body import Message, Receive, Scope

log = logging.getLogger(__name__)

# Half of all connections: requests always find room.
MOST_SOCKETS = 1024
KEY_PREFIX = "mlserver.key."
SUBPROTOCOLS = b"sec-websocket-protocol"
SCHEMES = {"ws": "http", "wss": "https"}
NO_SOCKET = Failure(400, "This path is no WebSocket; ask for it with a plain request.", "bad_request")
TOO_MANY = Failure(503, "The server has as many open WebSockets as it takes; try again later.", "unavailable")

Send = Callable[[Message], Awaitable[None]]


class Gone(Exception):
    """The client has gone, so there is nobody to write to."""


class Sockets:
    """All WebSockets of the process; call `end` when the server stops. The protocol itself says good-bye then."""

    def __init__(self, wsgi: Callable[..., Any], threads: Executor, *, most: int = MOST_SOCKETS) -> None:
        self._wsgi, self._threads, self._most = wsgi, threads, most
        self._count = 0
        self._running: set[asyncio.Task[Close]] = set()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        if self._count >= self._most:
            await _refuse(scope, send, TOO_MANY)
            return
        self._count += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self._count -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        offered = Offered.of(scope["subprotocols"])
        answer = Answer(self._wsgi, as_get(scope), b"", {sockets.IS_HANDSHAKE: True, sockets.KEY: offered.key})
        body = await asyncio.get_running_loop().run_in_executor(self._threads, answer.begin)
        if not answer.is_whole:
            self._threads.submit(answer.close)
        if answer.socket is None:
            is_refusal = answer.status >= 400 and answer.is_whole
            await (_pass_on(answer, body, send) if is_refusal else _refuse(scope, send, NO_SOCKET))
            return
        headers = [pair for pair in answer.headers if not pair[0].startswith(b"content-")]
        await send({"type": "websocket.accept", "subprotocol": offered.plain, "headers": headers})
        close = await self._talk(answer.socket, receive, send)
        if close is not None:
            await send({"type": "websocket.close", "code": close.code, "reason": close.reason})

    async def _talk(self, socket: Socket, receive: Receive, send: Send) -> Close | None:
        """Until one side ends it; None when there is nobody to tell why."""
        running = asyncio.create_task(socket.run(_sending(send)))
        reading = asyncio.create_task(_read(socket, receive))
        self._running.add(running)
        try:
            await asyncio.wait([running, reading], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._running.discard(running)
            running.cancel()
            reading.cancel()
            await asyncio.wait([running, reading])  # what they hold is let go of before the connection is
        return _outcome(running, reading)

    def end(self) -> None:
        for running in self._running:
            running.cancel()


class Offered(NamedTuple):
    """What the client offered as subprotocols."""

    key: str | None
    plain: str | None

    @classmethod
    def of(cls, names: list[str]) -> "Offered":
        """A key whose characters no subprotocol may have is percent-encoded."""
        keys = [unquote(name.removeprefix(KEY_PREFIX)) for name in names if name.startswith(KEY_PREFIX)]
        plain = [name for name in names if name and not name.startswith(KEY_PREFIX)]
        return cls(next(iter(keys), None), next(iter(plain), None))


def as_get(scope: Scope) -> Scope:
    """The handshake as the HTTP request that it began as, without the names it offered."""
    headers = [pair for pair in scope["headers"] if pair[0] != SUBPROTOCOLS]
    request = {**scope, "type": "http", "method": "GET", "scheme": SCHEMES[scope["scheme"]], "headers": headers}
    drop_ambiguous_headers(request)
    return request


def _sending(send: Send) -> sockets.Send:
    async def send_frame(frame: Frame) -> None:
        try:
            await send({"type": "websocket.send", "text" if isinstance(frame, str) else "bytes": frame})
        except OSError as error:  # what ASGI has a server raise after a disconnect
            raise Gone from error

    return send_frame


async def _read(socket: Socket, receive: Receive) -> None:
    while (message := await receive())["type"] != "websocket.disconnect":
        text = message.get("text")
        await socket.received(text if text is not None else message["bytes"])


def _outcome(running: "asyncio.Task[Close]", reading: "asyncio.Task[None]") -> Close | None:
    fault = _fault_of(running) or _fault_of(reading)
    if fault is not None:
        log.error("a WebSocket failed", exc_info=fault)
        return Close(sockets.FAULT, "the server failed; its log says why")
    if running.cancelled() or running.exception() is not None or not reading.cancelled():
        return None
    return running.result()


def _fault_of(task: "asyncio.Task[Any]") -> BaseException | None:
    error = None if task.cancelled() else task.exception()
    return None if isinstance(error, Gone) else error


async def _pass_on(answer: Answer, body: bytes, send: Send) -> None:
    await _reject(send, answer.status, answer.headers, body)


async def _refuse(scope: Scope, send: Send, failure: Failure) -> None:
    body = orjson.dumps(body_for(scope["path"], "GET", failure))
    await _reject(send, failure.status, [(b"content-type", b"application/json")], body)


async def _reject(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
