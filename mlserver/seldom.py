"""Something that many callers ask for, and that is done now and then."""

import threading
import time


class Seldom:
    """`is_due()` is true for one caller, and then for nobody within `every_s`; of several threads for one."""

    def __init__(self, *, every_s: float) -> None:
        self.every_s = every_s
        self._next_at = 0.0
        self._lock = threading.Lock()

    def is_due(self) -> bool:
        now = time.monotonic()
        with self._lock:
            if now < self._next_at:
                return False
            self._next_at = now + self.every_s
            return True

    def forget(self) -> None:
        """Due again at once."""
        self._next_at = 0.0
