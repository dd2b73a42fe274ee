"""R77: delete runs, or erase them."""

from typing import Any

import pytest
from django.test import Client

from tests.api.runicorn.binned import UNKNOWN, make_deleted, make_files
from tests.make import make_client, make_run, make_user
from training.models import Run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]
PATH = "/api/experiments/delete"


def delete(client: Client, body: Any, query: str = "") -> Any:
    return client.delete(PATH + query, body, content_type="application/json")


def test_it_moves_runs_to_the_bin():
    run = make_run()
    assert delete(make_client(run.owner), {"run_ids": [run.pk]}).json() == {"results": {run.pk: {"success": True}}}
    assert Run.objects.get().deleted_at is not None


def test_it_erases_runs_by_force_in_the_bin_or_not():
    owner = make_user()
    run, gone, active, foreign = (
        make_files(make_run(owner=owner, status="failed")),
        make_files(make_deleted(owner=owner)),
        make_files(make_run(owner=owner, status="running")),
        make_run(status="finished"),
    )
    asked = [run.pk, gone.pk, active.pk, foreign.pk, UNKNOWN]
    said = delete(make_client(owner), {"run_ids": asked, "force": True}).json()["results"]
    assert said == {
        run.pk: {"success": True},
        gone.pk: {"success": True},
        active.pk: {"success": False, "error": "the run is active: stop it first, or wait for its end"},
        foreign.pk: {"success": False, "error": "the run belongs to somebody else"},
        UNKNOWN: {"success": False, "error": "run not found"},
    }
    assert set(Run.objects.visible()) == {active, foreign}
    assert not run.directory.exists() and not gone.directory.exists()
    assert active.directory.exists()


@pytest.mark.parametrize("query", ["?run_ids={}&force=true", "?run_ids={},&force=1"])
def test_it_takes_the_same_from_the_query(query):
    run = make_run(status="finished")
    answer = delete(make_client(run.owner), None, query.format(run.pk))
    assert answer.json() == {"results": {run.pk: {"success": True}}}
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    "body",
    [{}, {"run_ids": []}, {"run_ids": ["x"]}, {"run_ids": [UNKNOWN], "force": "yes"}],
)
def test_returns_400_when_the_body_is_bad(body):
    assert delete(make_client(), body).status_code == 400
    assert delete(make_client(), {}, f"?run_ids={UNKNOWN}&force=maybe").status_code == 400


def test_it_needs_the_scope_submit():
    body = {"run_ids": [make_run().pk]}
    assert delete(Client(), body).status_code == 401
    assert delete(make_client(scope="read"), body).status_code == 403
