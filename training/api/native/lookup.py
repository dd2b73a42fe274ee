"""The run that a path names."""

from mlserver.errors import NotFound
from training.models import Run
from training.models.run import DIRECTORY_COLUMNS, RunQuerySet


def visible_run(pk: str) -> Run:
    """Its owner, its state and where its files lie, no more. Raises NotFound, also for one in the recycle bin."""
    return _find(Run.objects.visible(), pk)


def told_run(pk: str) -> Run:
    """The run that a script tells of. Also one in the recycle bin: if it comes back, nothing is missing."""
    return _find(Run.objects.all(), pk)


def _find(runs: RunQuerySet, pk: str) -> Run:
    run = runs.only("owner", "task_id", "status", *DIRECTORY_COLUMNS).filter(pk=pk).first()
    if run is None:
        raise NotFound(f"run {pk} does not exist")
    return run
