"""SIGTERM: at once before the first batch, after it at the end of the batch under way."""

import os
import signal
import threading
import time
from types import FrameType

EXIT_CODE = 128 + signal.SIGTERM
# A rank may hang in a collective whose peers are gone; the supervisor kills after 30 s without asking.
GIVE_UP_AFTER_S = 20


class Stopped(Exception):
    """The training was asked to stop; what it had learned is saved."""


class Stop:
    """Takes SIGTERM over when made; only the main thread can make it."""

    def __init__(self) -> None:
        self.is_requested = False
        self.has_begun = False
        signal.signal(signal.SIGTERM, self._on_signal)

    def begin(self) -> None:
        """From now on a stop waits for the end of a batch."""
        self.has_begun = True

    def insist(self) -> None:
        """End this process even if it hangs outside Python when it is asked to stop. For several ranks.

        The signal itself is only seen by Python between two instructions, so a thread waits for it.
        """
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=self._end_after_signal, args=(reader,), daemon=True).start()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self.has_begun:
            # Not by print or an exception: the signal may come in the middle of either, or of an import.
            os.write(1, b"INFO stopped before the first batch\n")
            os._exit(EXIT_CODE)
        self.is_requested = True

    def _end_after_signal(self, reader: int) -> None:
        while signal.SIGTERM not in os.read(reader, 64):
            pass
        if self.has_begun:
            time.sleep(GIVE_UP_AFTER_S)
        os.write(1, b"WARNING stopped without a checkpoint: the other ranks did not answer\n")
        os._exit(EXIT_CODE)
