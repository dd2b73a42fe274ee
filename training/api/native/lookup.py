"""The run that a path names."""

from mlserver.errors import NotFound
from training.models import Run
from training.models.run import DIRECTORY_COLUMNS


def visible_run(pk: str) -> Run:
    """Its owner, its state and where its files lie, no more. Raises NotFound, also for one in the recycle bin."""
    run = Run.objects.visible().only("owner", "task_id", "status", *DIRECTORY_COLUMNS).filter(pk=pk).first()
    if run is None:
        raise NotFound(f"run {pk} does not exist")
    return run
