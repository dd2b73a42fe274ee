"""What uvicorn's HTTP protocol leaves open: an end for each connection that does not move, and all of its requests.

A connection is aborted when the head of a request does not become whole in time, when its client does not read what
was written, or when it sends requests far ahead of the answers. Aborting ends each wait of an answer for room.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from mlserver.serving.stalled import StallTimer

# Above what honest clients pipeline.
PIPELINE_DEPTH = 16


class Protocol(StallTimer, HttpToolsProtocol):
    # From the first byte (of a new connection: from its beginning) to the end of the headers.
    head_within_s = 20.0

    _head_timer: asyncio.TimerHandle | None = None
    _running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        if self._head_timer is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._forget_head()
        super().on_headers_complete()
        if len(self.pipeline) > PIPELINE_DEPTH:
            self.transport.abort()

    def handle_websocket_upgrade(self) -> None:
        """Another protocol has the connection from here on, so nothing of this one may still be answering."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        self._forget_stall()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """The request that is being answered learns of it; uvicorn tells only the newest, which may wait behind."""
        self._forget_head()
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_within_s, self.transport.abort)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
