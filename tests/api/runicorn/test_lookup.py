import pytest
from django.utils import timezone

from mlserver.errors import BadRequest, NotFound
from tests.make import make_run
from training.api.runicorn.lookup import find_run
from training.api.runicorn.statuses import STATUSES, statuses_named
from training.models import RunAlias, RunStatus

pytestmark = pytest.mark.django_db
OTHER = "20260307_091502_4fe0b7"


def test_it_finds_a_run_by_its_id_and_by_another() -> None:
    run = make_run()
    RunAlias.objects.create(alias=OTHER, run=run)
    assert find_run(run.pk) == find_run(OTHER, "status") == run


@pytest.mark.parametrize("bad", ["x", "20260307_091502_4fe0b", OTHER + "\n", OTHER.upper(), "../" + OTHER])
def test_it_refuses_what_is_no_id(bad: str) -> None:
    with pytest.raises(BadRequest, match="Invalid run_id format"):
        find_run(bad)


def test_it_does_not_find_unknown_and_deleted_runs() -> None:
    gone = make_run(status="finished", deleted_at=timezone.now())
    RunAlias.objects.create(alias=OTHER, run=gone)
    for run_id in (gone.pk, OTHER, "20250101_000000_000000"):
        with pytest.raises(NotFound, match=f"Run not found: {run_id}"):
            find_run(run_id)


def test_every_status_has_a_name() -> None:
    assert set(STATUSES) == set(RunStatus.values)
    assert statuses_named("running") == ["starting", "running", "ending"]
    assert statuses_named("gone") == []
