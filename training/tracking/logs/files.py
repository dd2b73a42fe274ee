"""Opening the two files of a log."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from training import paths
from training.tracking.job_files import OpenFile, opened_below, opened_in_run


class LoggedRun(Protocol):
    """What of a Run names its files."""

    @property
    def pk(self) -> str: ...
    @property
    def directory(self) -> Path: ...


@contextlib.contextmanager
def opened_log(run: LoggedRun, rank: int) -> Iterator[OpenFile | None]:
    """The text of one rank; None when there is no regular file of that name."""
    with opened_in_run(run, paths.log_name(rank)) as file:
        yield file


@contextlib.contextmanager
def opened_index(run: LoggedRun, rank: int) -> Iterator[OpenFile | None]:
    """The supervisor's index of one rank; None when there is none (a run of the SDK outside the queue)."""
    path = paths.control_dir(run.pk, rank) / "logs.idx"
    with opened_below(paths.control_root(), path) as file:
        yield file


def has_exit_record(run: LoggedRun, rank: int) -> bool:
    """The supervisor has written its last word: neither log nor index grow any more."""
    return (paths.control_dir(run.pk, rank) / "exit.json").exists()
