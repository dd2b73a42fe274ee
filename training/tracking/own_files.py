"""Writing into the directories of runs outside the queue: the server makes them itself, below its own root.

No link is followed on the way all the same: without an account of their own jobs may write there, too.
"""

import contextlib
import os
import stat
from collections.abc import Iterator

from mlserver.errors import Conflict
from training import paths
from training.models import Run
from training.tracking.job_files import FOLDER, NOT_A_FILE

# O_NONBLOCK: a FIFO without reader would block the open for ever.
APPENDED = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def refuse_others(run: Run) -> None:
    """Raises Conflict for a run that somebody else writes the files of."""
    if run.task_id is not None:
        raise Conflict(f"the server executes run {run.pk} and keeps what it says: nothing can be delivered to it")
    if run.outside_dir:
        raise Conflict(f"the files of run {run.pk} lie outside of the server's root, where they were imported from")


@contextlib.contextmanager
def made_folder(run: Run, *names: str) -> Iterator[int]:
    """A descriptor of the run directory, or of the directory `names` in it, made if it is missing.

    Raises Conflict when there is something else in its place, OSError when the disk has no room.
    """
    root = paths.runs_root()
    root.mkdir(mode=0o750, parents=True, exist_ok=True)
    here = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in (*run.directory.relative_to(root).parts, *names):
            with contextlib.suppress(FileExistsError):
                os.mkdir(step, 0o750, dir_fd=here)
            parent, here = here, _opened(run, step, FOLDER, here)
            os.close(parent)
        yield here
    finally:
        os.close(here)


@contextlib.contextmanager
def opened_to_append(run: Run, folder: int, name: str) -> Iterator[int]:
    """A descriptor of the regular file `name` in the open `folder`, made if it is missing. Raises Conflict."""
    file = _opened(run, name, APPENDED, folder)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise _in_the_way(run, name)
        yield file
    finally:
        os.close(file)


def _opened(run: Run, name: str, flags: int, folder: int) -> int:
    try:
        return os.open(name, flags, 0o640, dir_fd=folder)
    except OSError as error:
        if error.errno in NOT_A_FILE:
            raise _in_the_way(run, name) from error
        raise


def _in_the_way(run: Run, name: str) -> Conflict:
    return Conflict(f"the directory of run {run.pk} was changed: {name} is not what the server made there")
