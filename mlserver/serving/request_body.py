"""Request bodies, collected whole before a thread is taken: bounded in size and in time, whoever sends them."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

# Bodies a little above the limit of Django still reach it, so its own answer says which limit that is.
SLACK_BYTES = 64 * 1024
WITHIN_S = 60


class Disconnected(Exception):
    """The client went away before its request was whole."""


class TooLarge(Exception):
    """The body is, or says it is, longer than its path takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is refused: it must be at most {limit} bytes")


class TooSlow(Exception):
    """The body was not whole in time."""

    def __init__(self) -> None:
        super().__init__(f"the body is refused: it must arrive within {WITHIN_S} s")


def limit_of(path: str) -> int:
    """Bytes that a body sent to `path` may have; it is kept in memory, before anybody knows who sends it."""
    return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE) + SLACK_BYTES


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body; raises TooLarge, TooSlow or Disconnected.

    A body without a declared length gets one, because WSGI knows no other.
    """
    headers = dict(scope["headers"])
    declared = headers.get(b"content-length")
    if declared is None and b"transfer-encoding" not in headers:
        return b""
    if declared is not None and int(declared) > limit:
        raise TooLarge(limit)
    try:
        async with asyncio.timeout(WITHIN_S):
            body = await _collect(receive, limit)
    except TimeoutError:
        raise TooSlow from None
    if declared is None:
        kept = [pair for pair in scope["headers"] if pair[0] != b"transfer-encoding"]
        scope["headers"] = [*kept, (b"content-length", str(len(body)).encode())]
    return body


async def _collect(receive: Receive, limit: int) -> bytes:
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise TooLarge(limit)
        if not message.get("more_body"):
            return b"".join(chunks)
