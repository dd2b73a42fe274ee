"""One request inside the WSGI application: called in a thread, its answer fetched piece by piece.

Pull, never push: a thread is taken for the call and for each further piece, and never waits for a client. What is
not fetched yet stays where it is (a file on disk, a generator), so a slow client costs one piece of memory.
"""

import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BytesIO
from types import MappingProxyType
from typing import Any

from a2wsgi.wsgi import build_environ
from django.http import HttpResponse

from mlserver.api import sockets, streams, uploads

PIECE_BYTES = 256 * 1024
INTERNAL = (streams.HEADER, uploads.HEADER, sockets.HEADER)
# The length of a response that stands for another one says nothing about that one.
NOT_SENT = (*(name.lower() for name in INTERNAL), "content-length")

Headers = list[tuple[bytes, bytes]]


class Answer:
    """`begin` once, then `piece` until `is_whole`, or `close`. Blocking, for threads; any thread may do each step.

    A body that comes in one chunk or in little more than PIECE_BYTES is whole after `begin`; chunks of a longer one
    may each be made in another thread.
    """

    def __init__(
        self, app: Callable[..., Any], scope: Any, body: bytes, facts: Mapping[str, object] = MappingProxyType({})
    ) -> None:
        """`facts` come into the environ: what the application must know and no client may say."""
        self.status = 0
        self.headers: Headers = []
        self.stream: streams.Stream | None = None
        self.receiver: uploads.Receiver | None = None
        self.socket: sockets.Socket | None = None
        self.is_whole = False
        self._app = app
        environ = build_environ(scope, BytesIO(body))  # type: ignore[arg-type]  # any file does
        self._environ = {**environ, uploads.IS_FED: False, **facts}
        self._context = contextvars.copy_context()
        self._lock = threading.Lock()
        self._written: list[bytes] = []
        self._iterable: Iterable[bytes] = ()
        self._chunks: Iterator[bytes] = iter(())
        self._left: int | None = None

    def begin(self) -> bytes:
        """Status, headers and the first piece; raises what the application raises."""
        return self._context.run(self._begin)

    def piece(self) -> bytes:
        """The next piece; the last one makes the answer whole. Empty once it was closed."""
        return self._context.run(self._piece)

    def close(self) -> None:
        """Nobody fetches the rest. Waits for a piece that is being made in another thread."""
        self._context.copy().run(self._close_between_pieces)

    def _begin(self) -> bytes:
        self._iterable = self._app(self._environ, self._start)
        self._chunks = iter(self._iterable)
        return self._piece()

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        tokens = {name: value for name, value in headers if name in INTERNAL}
        if tokens:  # taken here, where the response is still alive
            headers = [pair for pair in headers if pair[0].lower() not in NOT_SENT]
            self.stream = streams.take(tokens.get(streams.HEADER, ""))
            self.receiver = uploads.take(tokens.get(uploads.HEADER, ""))
            self.socket = sockets.take(tokens.get(sockets.HEADER, ""))
        self.status = int(status.split(" ", 1)[0])
        self.headers = [
            (name.strip().lower().encode("latin1"), value.strip().encode("latin1")) for name, value in headers
        ]
        length = dict(self.headers).get(b"content-length")
        self._left = int(length) if length is not None else None
        return self._written.append

    def _piece(self) -> bytes:
        with self._lock:
            try:
                chunks = self._collect()
            except BaseException:
                self._close()
                raise
            return b"".join(chunks)

    def _collect(self) -> list[bytes]:
        """Closes when the iterable ends, or has given as much as its length says: most answers are one chunk."""
        chunks, self._written = self._written, []
        size = sum(map(len, chunks))
        for chunk in self._chunks:
            chunks.append(chunk)
            size += len(chunk)
            if self._left is not None and size >= self._left:
                break
            if size >= PIECE_BYTES:
                self._left = self._left - size if self._left is not None else None
                return chunks
        self._close()
        return chunks

    def _close_between_pieces(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        if not self.is_whole:
            self.is_whole, self._chunks = True, iter(())
            getattr(self._iterable, "close", lambda: None)()
            # DRF's view and request know each other and it, so all wait for the collector: but not with megabytes.
            if isinstance(self._iterable, HttpResponse):
                self._iterable.content = b""
