"""Endless answers: a Django view decides who may have one, a coroutine then writes it without holding a thread.

A view returns a StreamResponse like any other response, so authentication, CORS and errors stay in Django. The
response names its stream by an internal header; mlserver.serving.application takes that header away, answers the
head and hands the connection to the stream.
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from weakref import WeakValueDictionary

from django.http import HttpResponse

HEADER = "X-Mlserver-Stream"

Send = Callable[[bytes], Awaitable[None]]


class Stream(Protocol):
    async def run(self, send: Send, is_gone: Callable[[], bool]) -> None:
        """Write the body; runs on the event loop of the web process, so nothing in it may block.

        `send` waits while the client reads slowly. When the client has gone the coroutine is cancelled at its
        next `await`; `is_gone` says so to loops that swallow cancellation points.
        """


class StreamResponse(HttpResponse):
    """The head of an endless answer. Headers set on it are sent, its content is not."""

    def __init__(self, stream: Stream, *, content_type: str = "text/event-stream", **kwargs: Any) -> None:
        super().__init__(content_type=content_type, **kwargs)
        self.stream = stream
        self.headers.setdefault("Cache-Control", "no-store")
        self.headers.setdefault("X-Accel-Buffering", "no")
        token = secrets.token_hex(16)
        self.headers[HEADER] = token
        _open[token] = self


# Weak: a response that a middleware replaces is never sent, and goes with the last who knows it.
_open: WeakValueDictionary[str, StreamResponse] = WeakValueDictionary()


def take(token: str) -> Stream | None:
    """The stream of a response that is being sent, once."""
    response = _open.pop(token, None)
    return response.stream if response is not None else None
