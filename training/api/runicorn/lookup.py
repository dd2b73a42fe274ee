"""The run that a path names, by its own id or another under which it is known."""

from mlserver.errors import BadRequest, NotFound
from training.models import Run, RunAlias
from training.models.run import RUN_ID


def checked_run_id(run_id: str) -> str:
    """`run_id` itself; raises BadRequest for what cannot be one."""
    if RUN_ID.fullmatch(run_id):
        return run_id
    raise BadRequest(f"Invalid run_id format: {run_id[:100]}. Expected format: YYYYMMDD_HHMMSS_XXXXXX")


def find_run(run_id: str, *columns: str) -> Run:
    """A run that is not in the recycle bin; only `columns` of it are read, if any are named.

    Raises BadRequest for what is no run id, NotFound for a run that is unknown or deleted.
    """
    runs = Run.objects.visible()
    if columns:
        runs = runs.only(*columns)
    run = runs.filter(pk=checked_run_id(run_id)).first()
    if run is None:  # ids of other runs are few: asked only when the run's own is unknown
        run = runs.filter(pk__in=RunAlias.objects.filter(alias=run_id).values("run")).first()
    if run is None:
        raise unknown(run_id)
    return run


def unknown(run_id: str) -> NotFound:
    return NotFound(f"Run not found: {run_id}")
