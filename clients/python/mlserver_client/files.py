"""The small JSON files of a run: replaced whole, never seen half written, changed by one process at a time."""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mlserver_client.lines import plain


def read_json(path: Path) -> dict[str, Any]:
    """Empty when there is none, or none that can be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Raises OSError, and TypeError or ValueError when JSON cannot say the content."""
    text = json.dumps(content, indent=2, default=plain, skipkeys=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text + "\n")
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def change_json(path: Path, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """Read, change and write with the file's lock held, so processes that change it at once lose nothing."""
    with locked(path.with_name(f"{path.name}.lock")):
        write_json(path, change(read_json(path)))


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits for the lock file; it is freed with the process that holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
