"""Files that are whole or absent."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from training.trainer.failures import NO_SPACE, Failure


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """`write` fills a neighbour that then takes the place of `path`, on disk before this returns.

    One process at a time may write a path. Raises Failure, and leaves `path` as it was, when the disk refuses.
    """
    neighbour = path.with_name(f".{path.name}.new")
    try:
        with open(neighbour, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        neighbour.replace(path)
        sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            neighbour.unlink(missing_ok=True)
        raise refusal(path, error) from error


def refusal(path: Path, error: Exception) -> Exception:
    # torch reports a failed write as a RuntimeError about positions; the true error is what it happened under.
    cause = error if isinstance(error, OSError) else error.__context__
    if not isinstance(cause, OSError):
        return error
    room = ""
    if cause.errno in NO_SPACE:
        free_mib = shutil.disk_usage(path.parent).free / 1024**2
        room = f" ({free_mib:.0f} MiB are free); make room and try again"
    return Failure("error", f"{path.name} could not be written to {path.parent}: {cause.strerror}{room}")


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
