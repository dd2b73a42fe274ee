"""One `serve` for each home, by a record lock: the kernel drops it with the process and forks do not inherit it."""

import fcntl
import os
from pathlib import Path

from mlserver.serving import Refused


class HomeLock:
    """Held until the process ends; nothing else in this process may open and close the file."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._file, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise Refused(f"another serve (pid {holder}) already runs on MLSERVER_HOME={path.parent}") from error
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())
