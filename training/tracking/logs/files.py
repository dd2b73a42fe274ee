"""Opening the files of a log: the text and its index, each in pieces where the log was rotated.

How the supervisor rotates is said in `execution/supervision/rotation.py`. The offsets of the pieces come from the
control directory; the text is looked for under the names that follow from them.
"""

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from training import paths
from training.tracking.job_files import OpenFile, opened_at, opened_folder, root_above
from training.tracking.logs.pieces import LogFile, joined_records, joined_text

INDEX_NAME = "logs.idx"
RECORD_BYTES = 24
# A rotation between two looks is met once; the second look finds it done.
LOOKS = 3


class LoggedRun(Protocol):
    """What of a Run names its files."""

    @property
    def pk(self) -> str: ...
    @property
    def directory(self) -> Path: ...


@contextlib.contextmanager
def opened_log(run: LoggedRun, rank: int) -> Iterator[LogFile | None]:
    """The text of one rank; None when there is no regular file of that name."""
    with ExitStack() as stack:
        folder = stack.enter_context(opened_folder(root_above(run.directory), run.directory))
        yield None if folder is None else _text(stack, folder, run, rank)


@contextlib.contextmanager
def opened_index(run: LoggedRun, rank: int) -> Iterator[LogFile | None]:
    """The supervisor's index of one rank; None when there is none (a run of the SDK outside the queue)."""
    with ExitStack() as stack:
        folder = stack.enter_context(opened_folder(paths.control_root(), paths.control_dir(run.pk, rank)))
        if folder is None:
            yield None
            return
        names = [INDEX_NAME, *(paths.piece_name(INDEX_NAME, base) for base in _bases(run, rank) if base)]
        files = [stack.enter_context(opened_at(folder, name)) for name in names]
        yield joined_records([file for file in files if file is not None], RECORD_BYTES)


def log_size(run: LoggedRun, rank: int) -> int:
    """Bytes of all that was written. Cheap, and only a hint, for a log that was never rotated."""
    *_, newest = _bases(run, rank)
    with contextlib.suppress(OSError):
        if newest == 0 and (size := (run.directory / paths.log_name(rank)).lstat().st_size):
            return size
    with opened_log(run, rank) as log:
        return log.size if log is not None else 0


def has_exit_record(run: LoggedRun, rank: int) -> bool:
    """The supervisor has written its last word: neither log nor index grow any more."""
    return (paths.control_dir(run.pk, rank) / "exit.json").exists()


def _text(stack: ExitStack, folder: int, run: LoggedRun, rank: int) -> LogFile | None:
    name = paths.log_name(rank)
    for _ in range(LOOKS):
        *full, newest = _bases(run, rank)
        written = stack.enter_context(opened_at(folder, name))
        renamed = stack.enter_context(opened_at(folder, paths.piece_name(name, newest)))
        # Renamed: a rotation is under way, or its supervisor died in it, or it came since the names were read.
        if renamed is None or written is None or written.size == 0 or _are_same(written, renamed):
            break
    older = [(base, stack.enter_context(opened_at(folder, paths.piece_name(name, base)))) for base in full]
    return joined_text([*older, (newest, written if renamed is None else renamed)])


def _are_same(one: OpenFile, other: OpenFile) -> bool:
    return (one.facts.st_dev, one.facts.st_ino) == (other.facts.st_dev, other.facts.st_ino)


def _bases(run: LoggedRun, rank: int) -> list[int]:
    """Offsets at which the pieces of a log begin, the oldest first; [0] for a log that was never rotated."""
    try:
        names = [entry.name for entry in paths.control_dir(run.pk, rank).iterdir()]
    except OSError:
        return [0]
    prefix = f"{INDEX_NAME}."
    later = [int(name.removeprefix(prefix)) for name in names if name.startswith(prefix) and name[-1].isdigit()]
    return sorted([0] * (INDEX_NAME in names) + later) or [0]
