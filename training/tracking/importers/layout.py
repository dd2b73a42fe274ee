"""Where the runs of a storage root lie: `<project>/<name>/runs/<run id>/`, and of old `runs/<run id>/`.

Directories are listed one after the other and given as they come, so a root of any size takes no memory.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlserver.text import is_storable
from training.models.run import RUN_ID

# At the top of a root, beside the projects.
NO_PROJECTS = {"artifacts", "webui"}
RUNS = "runs"
PATH_BYTES = 1000


@dataclass(frozen=True)
class Experiment:
    """A directory that holds directories of runs; old roots have one without project and name."""

    root: Path
    parts: tuple[str, ...]

    @property
    def path(self) -> Path:
        return self.root.joinpath(*self.parts)

    @property
    def project(self) -> str:
        return self.parts[0] if len(self.parts) == 3 else ""

    @property
    def name(self) -> str:
        return self.parts[1] if len(self.parts) == 3 else ""


@dataclass(frozen=True)
class Folder:
    """The directory of one run."""

    experiment: Experiment
    run_id: str

    @property
    def root(self) -> Path:
        return self.experiment.root

    @property
    def path(self) -> Path:
        return self.experiment.path / self.run_id

    @property
    def relative(self) -> str:
        return "/".join((*self.experiment.parts, self.run_id))


@dataclass(frozen=True)
class Refused:
    """Something where a run should be that is none; `reason` is a part of a sentence."""

    path: Path
    reason: str


def find_folders(root: Path) -> Iterator[Folder | Refused]:
    """Every run below `root`, in no order."""
    for found in find_experiments(root):
        if isinstance(found, Refused):
            yield found
        else:
            yield from folders_of(found)


def find_experiments(root: Path) -> Iterator[Experiment | Refused]:
    """Of each project each name that has a directory `runs`, and the `runs` of old roots."""
    for project in directories_in(root):
        if isinstance(project, Refused):
            yield project
        elif project == RUNS:
            yield Experiment(root, (RUNS,))
        elif project not in NO_PROJECTS:
            for name in directories_in(root / project):
                if isinstance(name, Refused):
                    yield name
                elif is_directory(root / project / name / RUNS):
                    yield Experiment(root, (project, name, RUNS))


def folders_of(experiment: Experiment) -> Iterator[Folder | Refused]:
    for name in directories_in(experiment.path):
        if isinstance(name, Refused):
            yield name
        elif not RUN_ID.fullmatch(name):
            yield Refused(experiment.path / name, "its name is no run id")
        elif not is_storable(str(experiment.path)) or len(os.fsencode("/".join(experiment.parts))) > PATH_BYTES - 30:
            yield Refused(experiment.path / name, "its path is too long, or no text")
        else:
            yield Folder(experiment, name)


def directories_in(path: Path) -> Iterator[str | Refused]:
    """Names of the directories in one; hidden ones are left out, links to directories refused."""
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield entry.name
                elif entry.is_symlink() and entry.is_dir():
                    yield Refused(Path(entry.path), "it is a symbolic link")
    except OSError as error:
        yield Refused(path, f"it cannot be listed ({error.strerror})")


def is_directory(path: Path) -> bool:
    try:
        return path.is_dir() and not path.is_symlink()
    except OSError:
        return False
