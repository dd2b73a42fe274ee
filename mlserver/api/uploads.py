"""Long request bodies: a Django view decides about them by the headers alone, a receiver then takes the bytes.

A view returns `receive(request, receiver)`. Under mlserver.serving the view runs before any byte of the body was
read, so a refusal costs nothing; the response names its receiver by an internal header, the application takes that
header away, feeds the body and sends what `finish` returns. Under any other WSGI server, and in tests, the body is
read right here.
"""

import contextlib
import secrets
from typing import Any, Protocol
from weakref import WeakValueDictionary

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from mlserver.errors import TooLarge

HEADER = "X-Mlserver-Upload"
# In the environ of a request whose body is fed to a receiver. No header of a client becomes a name like this.
IS_FED = "mlserver.is_fed"
PIECE_BYTES = 1024**2
# What a form adds around a file of the largest size.
FRAMING_BYTES = 64 * 1024


class Receiver(Protocol):
    """Each call comes from a thread of a pool, one at a time, maybe each from another thread."""

    @property
    def checked_for(self) -> int | None:
        """The user whose upload `check` looks into: of one user one at a time. None: there is nothing to check."""

    def write(self, data: bytes) -> None:
        """The next bytes of the body, about PIECE_BYTES. What it raises becomes the answer."""

    def check(self) -> None:
        """The body is whole: look into it, for a minute if need be. What it raises becomes the answer."""

    def finish(self) -> HttpResponse:
        """The body is whole, and checked where it must be: keep it. What it raises becomes the answer."""

    def abort(self) -> None:
        """Nothing more comes: the client left, the server stops, or a call raised. Leave nothing."""


class UploadResponse(HttpResponse):
    """Stands for an answer that is not known yet. Headers set on it are sent, with those of `finish`."""

    def __init__(self, receiver: Receiver, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.receiver = receiver
        token = secrets.token_hex(16)
        self.headers[HEADER] = token
        _open[token] = self


# Weak: a response that a middleware replaces is never sent, and goes with the last who knows it.
_open: WeakValueDictionary[str, UploadResponse] = WeakValueDictionary()


def take(token: str) -> Receiver | None:
    """The receiver of a response that is being sent, once."""
    response = _open.pop(token, None)
    return response.receiver if response is not None else None


def max_body_bytes() -> int:
    return int(settings.MAX_UPLOAD_BYTES) + FRAMING_BYTES


def refuse_too_large(request: HttpRequest, most_bytes: int | None = None) -> None:
    """Raises TooLarge for a body that says it is longer than a file of `most_bytes`, by default of any upload."""
    most = settings.MAX_UPLOAD_BYTES if most_bytes is None else most_bytes
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isdecimal() and int(declared) > most + FRAMING_BYTES:
        raise TooLarge(f"the upload is refused: it has {int(declared)} bytes, at most {most} are taken")


def receive(request: HttpRequest, receiver: Receiver) -> HttpResponse:
    """Give the body of `request` to `receiver`: here, unless the server does it later."""
    if request.META.get(IS_FED):
        return UploadResponse(receiver)
    with contextlib.ExitStack() as unfinished:
        unfinished.callback(receiver.abort)
        while piece := request.read(PIECE_BYTES):
            receiver.write(piece)
        if receiver.checked_for is not None:
            receiver.check()
        response = receiver.finish()
        unfinished.pop_all()
    return response
