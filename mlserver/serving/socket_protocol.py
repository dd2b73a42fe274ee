"""What uvicorn's WebSocket protocol leaves open: handshakes that are none, clients that do not read, farewells."""

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from mlserver.api.sockets import GOING_AWAY
from mlserver.serving.stalled import StallTimer

# What it says below warnings are headers with keys, and what people type.
frames_log = logging.getLogger(f"{__name__}.frames")
frames_log.setLevel(logging.WARNING)


class SocketProtocol(StallTimer, WebSocketsSansIOProtocol):
    """One connection, from its handshake on; the head came whole, in time and within bounds (serving.protocol)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn.logger, self.conn.debug = frames_log, False

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated:  # its parser wants no such head, and nobody would ever answer it
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def pause_writing(self) -> None:
        """Answers to pings are written whatever the client reads, so nothing more is read from one that does not."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.read_paused:
            self._read_on()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # else a refusal is logged as if no answer had been given

    async def receive(self) -> Any:
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            if self.writable.is_set():
                self._read_on()
        return message

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def shutdown(self) -> None:
        if self.handshake_complete and not self.close_sent and self.conn.state is State.OPEN:
            self.stop_keepalive()
            self.queue.put_nowait({"type": "websocket.disconnect", "code": GOING_AWAY})
            self.conn.send_close(GOING_AWAY, "the server stops")
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
            self.transport.close()
        else:
            super().shutdown()
