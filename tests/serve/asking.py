"""Requests by the ASGI protocol, without a server."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import orjson

from mlserver.api.streams import StreamResponse
from mlserver.api.uploads import UploadResponse
from mlserver.serving.application import Application

WITHIN_S = 5


class Client:
    """One request. `sent` are the messages it still gives to the server, `got` those it was answered."""

    def __init__(
        self, method: str = "GET", *, headers: Iterable[tuple[str, str]] = (), body: Iterable[bytes] = ()
    ) -> None:
        self.scope = {
            "type": "http", "method": method, "path": "/api/v1/tasks", "query_string": b"", "http_version": "1.1",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        }  # fmt: skip
        chunks = list(body) or [b""]
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for number, chunk in enumerate(chunks, 1):
            self.messages.put_nowait({"type": "http.request", "body": chunk, "more_body": number < len(chunks)})
        self.got: list[dict[str, Any]] = []
        self.changed = asyncio.Event()

    def leave(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})

    async def send(self, message: dict[str, Any]) -> None:
        self.got.append(message)
        self.changed.set()

    async def ask(self, served: Application) -> "Client":
        await asyncio.wait_for(served(self.scope, self.messages.get, self.send), WITHIN_S)
        return self

    async def until_body(self, expected: bytes) -> None:
        async with asyncio.timeout(WITHIN_S):
            while self.body != expected:
                self.changed.clear()
                await self.changed.wait()

    @property
    def status(self) -> int:
        return int(self.got[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.got[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.got[1:])

    @property
    def is_complete(self) -> bool:
        return not self.got[-1].get("more_body", False)


def answering(view: Callable[[dict[str, Any]], Any], threads: int = 1, **options: Any) -> Application:
    """Serves `view(environ)`: a StreamResponse, an UploadResponse, or anything that JSON can say."""

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        answer = view(environ)
        if isinstance(answer, StreamResponse | UploadResponse):
            start_response("200 OK", [*answer.items(), ("Content-Length", "0")])
            return [b""]
        start_response("200 OK", [("Content-Type", "application/json")])
        return [orjson.dumps(answer)]

    return Application(wsgi, threads, **options)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 4 * WITHIN_S))  # type: ignore[arg-type]
