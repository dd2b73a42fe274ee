"""Free what sessions leave on disk: checkpoints and unpacked samples that nobody will go on from."""

import shutil
from datetime import timedelta
from pathlib import Path

from django.db.models import Q
from django.utils import timezone

from training import paths
from training.models import TaskStatus, TrainingSession

# A session that has just been completed may still be tidying up itself.
AFTER = timedelta(minutes=1)


def tidy() -> int:
    """Remove the directories of sessions that completed or were deleted; returns how many. Safe to repeat.

    A stopped or failed session keeps its checkpoint: it goes on from it when it is retried.
    """
    found = list(session_directories())
    kept = kept_sessions([directory.name for directory in found])
    gone = [directory for directory in found if directory.name not in kept]
    for directory in gone:
        shutil.rmtree(directory, ignore_errors=True)
    return len(gone)


def session_directories() -> list[Path]:
    try:
        return [path for path in paths.sessions_root().iterdir() if path.is_dir() and not path.is_symlink()]
    except FileNotFoundError:
        return []


def kept_sessions(session_ids: list[str]) -> set[str]:
    sessions = TrainingSession.objects.filter(pk__in=session_ids, task__deleted_at=None)
    is_done = Q(task__status=TaskStatus.COMPLETED, task__ended_at__lt=timezone.now() - AFTER)
    return set(sessions.exclude(is_done).values_list("pk", flat=True))
