"""The run that a path names, by its own id or another under which it is known."""

from functools import lru_cache

from mlserver.errors import BadRequest, NotFound
from mlserver.prepared import Prepared
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
    by_id, by_alias = statements(columns)
    # Ids of other runs are few: asked only when the run's own is unknown.
    run = by_id.first(checked_run_id(run_id)) or by_alias.first(run_id)
    if run is None:
        raise unknown(run_id)
    return run


@lru_cache(maxsize=32)
def statements(columns: tuple[str, ...]) -> tuple[Prepared[Run], Prepared[Run]]:
    """A visible run by its id, and by another under which it is known."""
    runs = Run.objects.visible().only(*columns) if columns else Run.objects.visible()
    by_id = Prepared(lambda run_id: runs.filter(pk=run_id)[:1])
    by_alias = Prepared(lambda alias: runs.filter(pk__in=RunAlias.objects.filter(alias=alias).values("run"))[:1])
    return by_id, by_alias


def unknown(run_id: str) -> NotFound:
    return NotFound(f"Run not found: {run_id}")
