"""The run that a path names."""

from mlserver.errors import NotFound
from mlserver.prepared import Prepared
from training.models import Run
from training.models.run import DIRECTORY_COLUMNS

COLUMNS = ("owner", "task_id", "status", *DIRECTORY_COLUMNS)
VISIBLE = Prepared(lambda pk: Run.objects.visible().only(*COLUMNS).filter(pk=pk)[:1])
TOLD = Prepared(lambda pk: Run.objects.only(*COLUMNS).filter(pk=pk)[:1])


def visible_run(pk: str) -> Run:
    """Its owner, its state and where its files lie, no more. Raises NotFound, also for one in the recycle bin."""
    return _found(VISIBLE.first(pk), pk)


def told_run(pk: str) -> Run:
    """The run that a script tells of. Also one in the recycle bin: if it comes back, nothing is missing."""
    return _found(TOLD.first(pk), pk)


def _found(run: Run | None, pk: str) -> Run:
    if run is None:
        raise NotFound(f"run {pk} does not exist")
    return run
