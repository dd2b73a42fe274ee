"""One sender at a time for a run's directory, however many processes write to it."""

import contextlib
import fcntl
import os
from pathlib import Path

NAME = "delivery.lock"


class DeliveryLock:
    """Freed with its process. A fork must call `forget`, or the parent's lock would live on in the child."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / NAME
        self._descriptor = -1

    def take(self) -> bool:
        """False when somebody else delivers; raises OSError when there can be no lock file."""
        if self._descriptor >= 0:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def forget(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)
