"""WebSockets: a Django view decides who may have one, a coroutine then talks on it without holding a thread.

A handshake comes to its view as the GET that it is, so authentication, permissions and errors stay in Django. A view
that returns a SocketResponse accepts it; any other answer refuses it with that answer's status. The response names its
socket by an internal header; mlserver.serving.sockets takes that header away and hands the connection over.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakValueDictionary

from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from mlserver.errors import UpgradeRequired

HEADER = "X-Mlserver-Socket"
# In the environ of a handshake. No header of a client becomes a name like these.
IS_HANDSHAKE = "mlserver.is_handshake"
KEY = "mlserver.socket_key"

GOING_AWAY, FAULT, TRY_LATER = 1001, 1011, 1013  # RFC 6455, section 7.4.1, and its registry

Frame = str | bytes
Send = Callable[[Frame], Awaitable[None]]


@dataclass(frozen=True)
class Close:
    """Why a socket ends; `reason` has at most 123 bytes."""

    code: int = 1000
    reason: str = ""


class Socket(Protocol):
    """Both coroutines run on the event loop of the web process, so nothing in them may block."""

    async def run(self, send: Send) -> Close:
        """Write frames until the end. `send` waits while the client reads slowly.

        Cancelled at its next `await` when the client has gone or the server stops. What it raises ends the socket
        with 1011.
        """

    async def received(self, frame: Frame) -> None:
        """A frame of the client, one at a time, also before `run` has begun; nothing is read on before it returns."""


class SocketResponse(HttpResponse):
    """Accepts the handshake. Headers set on it are sent."""

    def __init__(self, socket: Socket, **kwargs: Any) -> None:
        super().__init__(status=101, **kwargs)
        self.socket = socket
        token = secrets.token_hex(16)
        self.headers[HEADER] = token
        _open[token] = self


# Weak: a response that a middleware replaces is never sent, and goes with the last who knows it.
_open: WeakValueDictionary[str, SocketResponse] = WeakValueDictionary()


def take(token: str) -> Socket | None:
    """The socket of a response that is being sent, once."""
    response = _open.pop(token, None)
    return response.socket if response is not None else None


def is_handshake(request: HttpRequest | Request) -> bool:
    return bool(request.META.get(IS_HANDSHAKE))


def require_handshake(request: HttpRequest | Request) -> None:
    """Raises UpgradeRequired for a plain request of a path that is a WebSocket's."""
    if not is_handshake(request):
        raise UpgradeRequired(f"{request.path} is a WebSocket; open it with a WebSocket client")
