"""News of a storage root, looked for again and again: new runs, growing ones, and what was changed in old ones.

A look lists the experiments; it lists the runs of those whose directory has changed, and reads the runs
that go on. Everything is read anew from time to time, since a change inside the directory of an old run shows nowhere
else. What a look does not come to in its time the next one does.
"""

import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from training.models import ImportedRoot, Run
from training.tracking.importers import labels
from training.tracking.importers.folders import AT_ONCE, Intake
from training.tracking.importers.layout import Experiment, Folder, Refused, find_experiments, folders_of
from training.tracking.importers.report import Outcome, Report

# A directory that was made so lately may not hold all its files yet.
YOUNG_S = 60.0
# Of a root that is just being copied the rest is read when everything is.
MOST_YOUNG = 1000
# Within so long a directory may change again without its time showing it.
UNSURE_S = 2.0
EVERYTHING_EVERY_S = 300.0
# What takes a second is done every 20 seconds: a root of 100,000 names may cost a twentieth of a core, not all of one.
SHARE = 20


class Follower:
    """For one thread. It keeps nothing that a new one would not find out by looking."""

    def __init__(self, root: ImportedRoot) -> None:
        self.root = root
        self.path = Path(root.path)
        self.lively: dict[str, Folder] = {}
        self._listed_at: dict[Experiment, float] = {}
        self._waiting: deque[Experiment] = deque()
        self._current: tuple[Experiment, float, Iterator[Outcome]] | None = None
        self._is_everything = False
        self._running: set[str] = set()
        self._everything_at, self._everything_every_s = 0.0, EVERYTHING_EVERY_S
        self._labels_at = 0.0
        self._list_at = 0.0
        self._intake = Intake(root)

    def look(self, within_s: float = float("inf")) -> Report:
        """What came of this look; it ends about `within_s` after it began, done or not, but not before one run."""
        deadline = time.monotonic() + within_s
        report = self._intake.report = Report()
        self._read_labels()
        self._read_lively()
        if not self._waiting and self._current is None and time.monotonic() >= self._list_at:
            began_at = time.monotonic()
            self._waiting.extend(self._changed_experiments())
            self._list_at = began_at + SHARE * (time.monotonic() - began_at)
        if self._waiting:
            mine = Run.objects.active().filter(folders__root=self.root)
            self._running = set(mine.values_list("pk", flat=True))
        while self._go_on(deadline) and time.monotonic() < deadline:
            pass
        return report

    def _read_labels(self) -> None:
        at = changed_at(self.path / labels.NAME)
        if at != self._labels_at:
            self._intake.labels, self._labels_at, self._everything_at = labels.read_labels(self.path), at, 0.0

    def _read_lively(self) -> None:
        """Runs that go on, and directories that were made a moment ago."""
        if not self.lively:
            return
        for _ in self._intake.take_in(list(self.lively.values())):
            pass
        running = set(Run.objects.active().filter(pk__in=self.lively).values_list("pk", flat=True))
        young = time.time() - YOUNG_S
        self.lively = {
            run_id: folder
            for run_id, folder in self.lively.items()
            if run_id in running or changed_at(folder.path) > young
        }

    def _changed_experiments(self) -> Iterator[Experiment]:
        now = time.monotonic()
        self._is_everything = not self._everything_at or now - self._everything_at > self._everything_every_s
        if self._is_everything:
            self._everything_at = now
        for found in find_experiments(self.path):
            if isinstance(found, Experiment) and (
                self._is_everything or changed_at(found.path) != self._listed_at.get(found)
            ):
                yield found

    def _go_on(self, deadline: float) -> bool:
        """Read runs of one experiment until the deadline; False when nothing waits."""
        if self._current is None:
            if not self._waiting:
                self._note_everything()
                return False
            experiment = self._waiting.popleft()
            self._current = (experiment, changed_at(experiment.path), self._intake.take_in(self._noticed(experiment)))
        experiment, at, outcomes = self._current
        self._current = None  # should this fail, the experiment is listed again
        for _ in outcomes:
            if time.monotonic() >= deadline:
                self._current = (experiment, at, outcomes)
                return True
        if time.time() - at > UNSURE_S:
            self._listed_at[experiment] = at
        return True

    def _note_everything(self) -> None:
        """The longer it took the rarer it is."""
        if self._is_everything:
            self._is_everything = False
            self._everything_every_s = max(EVERYTHING_EVERY_S, SHARE * (time.monotonic() - self._everything_at))

    def _noticed(self, experiment: Experiment) -> Iterator[Folder | Refused]:
        """Its folders, or those that are new; what may still change is looked at with every look from now on."""
        young = time.time() - YOUNG_S
        found = folders_of(experiment)
        for folder in found if self._is_everything else unknown(found):
            if isinstance(folder, Folder):
                has_room = len(self.lively) < MOST_YOUNG
                if folder.run_id in self._running or (has_room and changed_at(folder.path) > young):
                    self.lively[folder.run_id] = folder
            yield folder


def unknown(found: Iterator[Folder | Refused]) -> Iterator[Folder | Refused]:
    """Those that are no runs here yet."""
    while batch := list(islice(found, AT_ONCE)):
        ids = [folder.run_id for folder in batch if isinstance(folder, Folder)]
        known = set(Run.objects.filter(pk__in=ids).values_list("pk", flat=True))
        yield from (folder for folder in batch if isinstance(folder, Refused) or folder.run_id not in known)


def changed_at(path: Path) -> float:
    """Seconds since 1970; 0 for what is not there."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0
