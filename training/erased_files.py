"""The files of runs that are being erased: put away by one rename, brought back, or freed later.

`.erased/<run id>` of a storage root has the directory of a run whose rows are about to go; no project is called so.
"""

import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from training import paths
from training.models import ImportedRoot, Run
from training.models.run import directory_of

log = logging.getLogger(__name__)

ERASED = ".erased"


def put_away(row: Mapping[str, Any]) -> None:
    """The directories of a run, the job's and ours. Safe to repeat; a directory that is not below a root stays.

    Raises OSError when one cannot be moved.
    """
    for directory, root in _directories(row):
        target = _place(root, row["id"])
        if not _is_below(root, directory):
            log.warning("the files of run %s stay: %s is not below %s", row["id"], directory, root)
        elif directory.is_dir():
            target.parent.mkdir(mode=0o700, exist_ok=True)
            _free(target)
            directory.rename(target)


def bring_back(row: Mapping[str, Any]) -> None:
    """What `put_away` moved, when the rows of the run stayed after all."""
    for directory, root in _directories(row):
        place = _place(root, row["id"])
        if place.is_dir() and not directory.exists():
            directory.parent.mkdir(parents=True, exist_ok=True)
            place.rename(directory)


def sweep(*, within_s: float) -> bool:
    """Free the files of runs that have no rows any more; False when more is left than there was time for.

    Safe to repeat. What cannot be removed now is tried again the next time.
    """
    until = time.monotonic() + within_s
    found = [path for root in _roots() for path in _entries(root / ERASED)]
    known = set(Run.objects.filter(pk__in=[path.name for path in found]).values_list("pk", flat=True))
    for path in found:
        if path.name in known:
            continue
        if time.monotonic() > until:
            return False
        _free(path)
    return True


def _roots() -> list[Path]:
    return [paths.runs_root(), paths.control_root(), *(Path(path) for path in _imported())]


def _imported() -> list[str]:
    return list(ImportedRoot.objects.values_list("path", flat=True))


def _directories(row: Mapping[str, Any]) -> Iterator[tuple[Path, Path]]:
    """Each with the root it must lie below. A run outside of every root that we know keeps its files."""
    yield paths.control_dir(row["id"]), paths.control_root()
    directory = directory_of(row)
    if not row["outside_dir"]:
        yield directory, paths.runs_root()
        return
    for root in map(Path, _imported()):
        if directory.is_relative_to(root):
            yield directory, root
            return


def _place(root: Path, run_id: str) -> Path:
    return root / ERASED / paths.segment(run_id)


def _is_below(root: Path, directory: Path) -> bool:
    """Also when links on the way are followed; the directory itself is none."""
    return Path(os.path.realpath(directory)) == Path(os.path.realpath(root)) / directory.relative_to(root)


def _entries(place: Path) -> list[Path]:
    try:
        return [path for path in place.iterdir() if not path.is_symlink()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _free(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path, ignore_errors=True)
