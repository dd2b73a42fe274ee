"""R2: one run."""

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_process, make_run, make_task
from training.models import RunAlias, RunStatus

pytestmark = pytest.mark.django_db
OTHER = "20260307_091502_4fe0b7"


@pytest.fixture
def client() -> Client:
    return make_client(scope="read")


@pytest.mark.database
def test_it_shows_a_run_with_its_details(client):
    run = make_run(
        make_task(project="vision", name="resnet"), status="stopped", tags=["a", "ü"], summary={"acc": 0.5, "n": [1]}
    )
    make_process(run, pid=7)
    said = client.get(f"/api/runs/{run.pk}").json()
    events = str(run.directory / "events.jsonl")
    expected = {
        "id": run.pk, "status": "interrupted", "pid": 7, "project": "vision", "name": "resnet",
        "run_dir": str(run.directory), "logs": str(run.directory / "logs.txt"), "metrics": events,
        "metrics_step": events, "created_at": run.created_at.timestamp(), "updated_at": run.updated_at.timestamp(),
        "ended_at": run.ended_at.timestamp(), "tags": ["a", "ü"], "summary": {"acc": 0.5, "n": [1]},
        "artifacts_created_count": 0, "artifacts_used_count": 0, "best_metric_value": None, "best_metric_name": None,
        "created_time": run.created_at.timestamp(),
    }  # fmt: skip
    assert said == expected


def test_it_is_found_by_its_other_id(client):
    run = make_run()
    RunAlias.objects.create(alias=OTHER, run=run)
    assert client.get(f"/api/runs/{OTHER}").json()["id"] == run.pk


@pytest.mark.parametrize("bad", ["x", OTHER.upper(), OTHER + "0", OTHER + "%0A", "20260307-091502-4fe0b7"])
def test_returns_400_for_what_is_no_id(client, bad):
    answer = client.get(f"/api/runs/{bad}")
    assert answer.status_code == 400
    shown = bad.replace("%0A", "\n")
    assert answer.json() == {"detail": f"Invalid run_id format: {shown}. Expected format: YYYYMMDD_HHMMSS_XXXXXX"}


def test_returns_404_when_it_is_unknown_or_deleted(client):
    gone = make_run(status=RunStatus.FINISHED, deleted_at=timezone.now())
    for run_id in (OTHER, gone.pk):
        answer = client.get(f"/api/runs/{run_id}")
        assert (answer.status_code, answer.json()) == (404, {"detail": f"Run not found: {run_id}"})


def test_returns_401_without_a_key():
    assert Client().get(f"/api/runs/{make_run().pk}").status_code == 401


def test_it_asks_three_times(client, django_assert_num_queries):
    run = make_run()
    client.get(f"/api/runs/{run.pk}")
    with django_assert_num_queries(3):  # the key, the run, its artifacts
        client.get(f"/api/runs/{run.pk}")
