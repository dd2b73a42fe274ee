"""R21: delete up to 1000 runs."""

import pytest
from django.test import Client

from tests.api.runicorn.binned import UNKNOWN, make_deleted, post
from tests.make import make_client, make_run, make_user
from training.models import Run

pytestmark = pytest.mark.django_db
PATH = "/api/v2/experiments/batch-delete"


def test_it_moves_runs_to_the_same_bin():
    owner = make_user()
    run, gone, foreign = make_run(owner=owner), make_deleted(owner=owner), make_run()
    client = make_client(owner)
    said = post(client, PATH, {"exp_ids": [run.pk, gone.pk, foreign.pk, UNKNOWN, "no id at all"]}).json()
    assert said == {
        "deleted": 1, "failed": 4, "deleted_count": 1, "message": "1 of 5 runs moved to the recycle bin",
        "results": {run.pk: True, gone.pk: False, foreign.pk: False, UNKNOWN: False, "no id at all": False},
    }  # fmt: skip
    deleted = client.get("/api/recycle-bin").json()["deleted_runs"]
    assert {it["id"]: it["delete_reason"] for it in deleted} == {
        run.pk: "user_batch_delete",
        gone.pk: "user_deleted",
    }


def test_it_keeps_the_reason():
    run = make_run()
    post(make_client(run.owner), PATH, {"exp_ids": [run.pk], "reason": "too old"})
    assert Run.objects.get().delete_reason == "too old"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"exp_ids": []}, {"exp_ids": "x"}, {"exp_ids": [1]}, {"exp_ids": ["x"] * 1001},
        {"exp_ids": ["x"], "reason": 1}, {"exp_ids": ["x"], "reason": "x" * 65},
    ],
)  # fmt: skip
def test_returns_400_when_the_body_is_bad(body):
    answer = post(make_client(), PATH, body)
    assert answer.status_code == 400
    assert isinstance(answer.json()["detail"], str)


def test_it_needs_the_scope_submit():
    body = {"exp_ids": [make_run().pk]}
    assert post(Client(), PATH, body).status_code == 401
    assert post(make_client(scope="read"), PATH, body).status_code == 403


@pytest.mark.database
def test_it_takes_a_thousand(django_assert_num_queries):
    owner = make_user()
    runs = Run.objects.bulk_create([Run(owner=owner, status="finished") for _ in range(1000)])
    client = make_client(owner)
    client.get("/api/runs")
    asked = [run.pk for run in runs]
    said = post(client, PATH, {"exp_ids": asked}).json()
    assert (said["deleted"], said["failed"]) == (1000, 0)
    assert not Run.objects.visible().exists()
