"""Which files of a run directory hold metrics, and what stands before the names they say."""

import itertools
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from django.conf import settings

from mlserver.text import is_storable
from training import paths
from training.models import Event, MetricFile, Run
from training.tracking.job_files import NOT_A_FILE, opened_folder, root_above
from training.tracking.logs.files import log_size

EVENT_FILE = re.compile(r"events\.out\.tfevents\.")
# What is no metric file: the spool, and how far an SDK delivered it.
NOT_METRICS = frozenset({paths.EVENTS_NAME, "delivery.jsonl"})
OUTPUT_NAME = paths.log_name(0)
# Subdirectories on the way to event files, entries looked at in one walk, and files read of one run.
MOST_DEPTH, MOST_ENTRIES, MOST_FILES = 4, 20_000, 200
LONGEST_NAME = 500
LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A new file is found this soon, and walking takes at most this part of the time.
WALK_EVERY_S, WALK_SHARE = 5.0, 0.01
# Directories that say nothing of what their files hold: where writers put everything, or one of each run by its date.
PLACES = re.compile(
    r"runs|logs?|tb|tb_logs|tensorboard|lightning_logs|version_\d+|.*\d{2}[-_:]?\d{2}[-_:]?\d{2}.*", re.IGNORECASE
)


@dataclass
class Memory:
    """What one process knows of a run's files; lost, everything is looked at again.

    `done`: size of each file up to which there is nothing left to take in. `passed`: how much of the output was
    searched, beyond what is written down. `served_at`, `adopted_at`: when its files, and the runs that its script made,
    were looked at.
    """

    names: list[str] = field(default_factory=list)
    walk_at: float = 0.0
    done: dict[str, int] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)
    served_at: float = 0.0
    adopted_at: float = 0.0
    has_said: bool = False

    def news(self, run: Run) -> list[str]:
        """Files that have grown; a walk through the directory when one is due, else one look at each known file."""
        if time.monotonic() >= self.walk_at:
            begun = time.monotonic()
            self.keep(run, metric_files(run))
            took_s = time.monotonic() - begun
            self.walk_at = begun + max(WALK_EVERY_S, took_s / WALK_SHARE)
        return [name for name in self.names if size_of(run, name) > self.done.get(name, 0)]

    def keep(self, run: Run, names: list[str]) -> None:
        """The first MOST_FILES; that there are more is said once."""
        self.names = names[:MOST_FILES]
        if len(names) > MOST_FILES and not self.has_said:
            self.has_said = True
            said = f"of {len(names)} files with metrics {MOST_FILES} are read"
            Event.objects.say("MetricFilesLeftOut", said, run=run, is_warning=True)


def size_of(run: Run, name: str) -> int:
    """0 for what is not there. Only a hint: what is read is opened without following links."""
    try:
        return log_size(run, 0) if name == OUTPUT_NAME else (run.directory / name).lstat().st_size
    except OSError:
        return 0


def metric_files(run: Run) -> list[str]:
    """Names relative to the run directory: the output, event files, files of lines."""
    kinds = settings.METRIC_FILES
    walk = Walk(MOST_DEPTH if "tensorboard" in kinds else 0)
    with opened_folder(root_above(run.directory), run.directory) as folder:
        places = [] if folder is None else list(walk.files_below(folder, "."))
    top = {place for place in places if "/" not in place}
    found = sorted(place for place in places if "tensorboard" in kinds and is_event_file(place))
    if "lines" in kinds:
        found += sorted(name for name in top - NOT_METRICS if name.endswith(".jsonl"))
    found = [name for name in found if is_storable(name) and len(name) <= LONGEST_NAME]
    # A script that writes records says its metrics there; what it prints beside them would count twice.
    is_output_read = "output" in kinds and OUTPUT_NAME in top and paths.EVENTS_NAME not in top
    return [OUTPUT_NAME, *found] if is_output_read else found


class Walk:
    """One walk through a directory, `depth` levels down; hidden directories and links are left out."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.entries_left = MOST_ENTRIES

    def files_below(self, folder: int, name: str, place: str = "", level: int = 0) -> Iterator[str]:
        """Places relative to where it began, of each directory its files before those further down."""
        here = opened_list(folder, name)
        if here is None:
            return
        try:
            with os.scandir(here) as entries:
                seen = sorted(itertools.islice(entries, self.entries_left), key=lambda entry: entry.name)
            self.entries_left -= len(seen)
            yield from (place + entry.name for entry in seen if entry.is_file(follow_symlinks=False))
            for entry in seen if level < self.depth else ():
                is_shown = not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
                if is_shown and self.entries_left:
                    yield from self.files_below(here, entry.name, f"{place}{entry.name}/", level + 1)
        finally:
            os.close(here)


def opened_list(folder: int, name: str) -> int | None:
    """A descriptor to list a directory with; None when it is none, or not ours to list."""
    try:
        return os.open(name, LISTED, dir_fd=folder)
    except OSError as error:
        if error.errno in NOT_A_FILE:
            return None
        raise


def prefix_of(name: str, known: Iterable[MetricFile]) -> str:
    """The directories of an event file that tell writers apart, as `train/`.

    Where two directories would have the same, the later one keeps its whole path.
    """
    folder = PurePosixPath(name).parent
    if not is_event_file(name):
        return ""
    telling = "/".join(part for part in folder.parts if not PLACES.fullmatch(part))
    taken = {row.prefix for row in known if PurePosixPath(row.name).parent != folder and is_event_file(row.name)}
    prefix = f"{telling}/" if telling else ""
    return f"{folder}/" if prefix in taken and folder.parts else prefix


def is_event_file(name: str) -> bool:
    return EVENT_FILE.match(PurePosixPath(name).name) is not None
