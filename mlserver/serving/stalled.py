"""An end for each connection whose client does not read what was written."""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:

    class Flow:
        """What uvicorn's protocols have, and asyncio calls."""

        loop: asyncio.AbstractEventLoop
        transport: asyncio.Transport

        def pause_writing(self) -> None: ...
        def resume_writing(self) -> None: ...
        def connection_lost(self, exc: Exception | None) -> None: ...
else:
    Flow = object


class StallTimer(Flow):
    """Stands before a protocol of uvicorn. Aborting ends each wait of an answer for room."""

    # The transport holds 64 KiB and says so when it has got rid of 48: slower than that is not reading.
    stalled_after_s = 30.0

    _stall_timer: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall_timer = self.loop.call_later(self.stalled_after_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._forget_stall()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_stall()
        super().connection_lost(exc)

    def _forget_stall(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
