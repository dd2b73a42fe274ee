"""Samples that do not fit in memory, decoded once into a folder of the training and mapped from there."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_LAYOUT = 1
"""Counted up when the same file would be decoded to other values."""


def kept_in(
    scratch: Path,
    path: Path,
    shape: tuple[int, ...],
    dtype: str,
    targets: np.ndarray,
    fill: Callable[[np.ndarray, np.ndarray], None],
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of `shape` and `dtype`, mapped read only, and the targets, decoded by `fill` unless done before.

    The space is taken before it is written to (OSError when there is none): a full disk would else end the process.
    """
    import numpy as np

    scratch.mkdir(parents=True, exist_ok=True)
    key = _key(path, shape, dtype, str(targets.dtype))
    inputs_path, targets_path = scratch / f"inputs-{key}.npy", scratch / f"targets-{key}.npy"
    with _locked(scratch / f"inputs-{key}.lock"):
        if not inputs_path.exists():
            part = scratch / f"inputs-{key}.part"
            try:
                _write(part, shape, dtype, targets, fill)
                _save(targets_path, targets)
                part.replace(inputs_path)  # last: it says that both are whole
            finally:
                part.unlink(missing_ok=True)
    return np.load(inputs_path, mmap_mode="r"), np.load(targets_path)


def _write(
    part: Path,
    shape: tuple[int, ...],
    dtype: str,
    targets: np.ndarray,
    fill: Callable[[np.ndarray, np.ndarray], None],
) -> None:
    import numpy as np

    needed_bytes, free_bytes = math.prod(shape) * np.dtype(dtype).itemsize, shutil.disk_usage(part.parent).free
    if needed_bytes > free_bytes:
        text = f"the samples take {needed_bytes >> 20} MiB, the disk has {free_bytes >> 20} MiB left"
        raise OSError(errno.ENOSPC, text, str(part))
    inputs = np.lib.format.open_memmap(part, mode="w+", dtype=np.dtype(dtype), shape=shape)
    with part.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, part.stat().st_size)
        fill(inputs, targets)
        inputs.flush()
        os.fsync(file.fileno())


def _save(path: Path, targets: np.ndarray) -> None:
    import numpy as np

    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.save(file, targets)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _key(path: Path, *more: object) -> str:
    """Names the file as it is now: another content has another size, inode or time of change."""
    stat = path.stat()
    text = repr((_LAYOUT, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, *more))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the lock ends with its process."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
