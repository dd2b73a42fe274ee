"""Request bodies: which are collected whole before a thread is taken, bounded in size and in time whoever sends them,
and which are streamed to the receiver of a view that has let them in.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings

from mlserver.api.parsing import MAX_BATCH_BYTES
from mlserver.api.uploads import FRAMING_BYTES, max_body_bytes

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

# Bodies a little above the limit of Django still reach it, so its own answer says which limit that is.
SLACK_BYTES = 64 * 1024
WITHIN_S = 60
# A streamed body may take as long as it likes while it moves.
MOVES_WITHIN_S = 60
# What SDKs deliver of a run.
BATCHES = re.compile(r"/api/v1/runs/[^/]+/(metrics|logs|environment)")
PICTURES = re.compile(r"/api/v1/runs/[^/]+/media")
STREAMED = frozenset({("POST", "/api/v1/models"), ("POST", "/api/v1/datasets")})


class Disconnected(Exception):
    """The client went away before its request was whole."""


class TooLarge(Exception):
    """The body is, or says it is, longer than its path takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is refused: it must be at most {limit} bytes")


class TooSlow(Exception):
    """The body, or the next byte of it, did not come in time."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"the body is refused: {rule}")


def limit_of(path: str) -> int:
    """Bytes that a body sent to `path` may have; it is kept in memory, before anybody knows who sends it."""
    limit = MAX_BATCH_BYTES if BATCHES.fullmatch(path) else int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    return limit + SLACK_BYTES


def upload_limit_of(scope: Scope) -> int | None:
    """Bytes that the body of this request may have when it is streamed; None when it is collected."""
    if (scope["method"], scope["path"]) in STREAMED:
        return max_body_bytes()
    is_picture = scope["method"] == "POST" and PICTURES.fullmatch(scope["path"])
    return int(settings.MAX_MEDIA_BYTES) + FRAMING_BYTES if is_picture else None


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
        raise TooSlow(f"it must arrive within {WITHIN_S} s") from None
    if declared is None:
        kept = [pair for pair in scope["headers"] if pair[0] != b"transfer-encoding"]
        scope["headers"] = [*kept, (b"content-length", str(len(body)).encode())]
    return body


async def _collect(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body += message.get("body", b"")
        if len(body) > limit:
            raise TooLarge(limit)
        if not message.get("more_body"):
            return bytes(body)


class StreamedBody:
    """A body that is read on while it is wanted; `size` counts what came, `is_whole` that nothing more will."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self.size = 0
        self.is_whole = False
        self._receive = receive
        self._limit = limit

    async def piece(self, at_least: int) -> bytes:
        """The next `at_least` bytes or little more, fewer at the end. Raises TooLarge, TooSlow or Disconnected."""
        gathered = bytearray()  # no list: a body may come in a million chunks of a byte or two
        while len(gathered) < at_least and not self.is_whole:
            gathered += await self._chunk()
        return bytes(gathered)

    async def discard(self) -> None:
        """Read on to the end, so that the next request of the connection can be; gives up on what piece raises."""
        with contextlib.suppress(TooLarge, TooSlow, Disconnected):
            while not self.is_whole:
                await self._chunk()

    async def _chunk(self) -> bytes:
        try:
            async with asyncio.timeout(MOVES_WITHIN_S):
                message = await self._receive()
        except TimeoutError:
            raise TooSlow(f"nothing of it came for {MOVES_WITHIN_S} s") from None
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk: bytes = message.get("body", b"")
        self.size += len(chunk)
        if self.size > self._limit:
            raise TooLarge(self._limit)
        self.is_whole = not message.get("more_body")
        return chunk
