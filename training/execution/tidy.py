"""Free what sessions leave on disk: checkpoints and unpacked samples that nobody will go on from."""

import contextlib
import os
import shutil
import time
from datetime import datetime, timedelta
from pathlib import Path

from django.db.models import Q
from django.utils import timezone

from training import paths
from training.models import TaskStatus, TrainingSession

# A session that has just been completed may still be tidying up itself.
AFTER = timedelta(minutes=1)
# Of a session that the database does not know, perhaps because an older one was restored.
UNKNOWN_AFTER_S = 7 * 86_400
REMOVED = ".removed-"


def tidy() -> int:
    """Remove the directories of sessions that completed or were deleted; returns how many. Safe to repeat.

    A stopped or failed session keeps its checkpoint: it goes on from it when it is retried.
    """
    found = session_directories()
    known = TrainingSession.objects.filter(pk__in=[directory.name for directory in found])
    done = set(known.filter(DELETED | completed_before(timezone.now() - AFTER)).values_list("pk", flat=True))
    unknown = {path.name for path in found if is_old(path)} - set(known.values_list("pk", flat=True))
    gone = [directory for directory in found if directory.name in done | unknown]
    for directory in gone:
        remove(directory)
    return len(gone)


def remove(directory: Path) -> None:
    """Under another name first: a session that is retried at this moment gets a directory of its own."""
    removed = directory.with_name(f"{REMOVED}{directory.name.removeprefix(REMOVED)}-{os.getpid()}")
    with contextlib.suppress(OSError):
        directory.rename(removed)
        shutil.rmtree(removed, ignore_errors=True)


def session_directories() -> list[Path]:
    try:
        return [path for path in paths.sessions_root().iterdir() if path.is_dir() and not path.is_symlink()]
    except FileNotFoundError:
        return []


DELETED = Q(task__deleted_at__isnull=False)


def completed_before(instant: datetime) -> Q:
    return Q(task__status=TaskStatus.COMPLETED, task__ended_at__lt=instant)


def is_old(directory: Path) -> bool:
    return directory.name.startswith(REMOVED) or time.time() - directory.stat().st_mtime > UNKNOWN_AFTER_S
