"""R4 and R5: what is in the recycle bin, and how it comes back."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.api.runicorn.binned import DELETE, RESTORE, UNKNOWN, make_deleted, post
from tests.make import make_client, make_run, make_task, make_user
from tests.together import together
from training.models import Event, Run

pytestmark = pytest.mark.django_db
BIN = "/api/recycle-bin"


def test_it_lists_deleted_runs_the_last_one_first():
    now = timezone.now()
    task = make_task(project="vision", name="resnet")
    first = make_deleted(task=task, status="stopped", deleted_at=now - timedelta(hours=1), delete_reason="")
    last = make_deleted(task=task, deleted_at=now, delete_reason="user_batch_delete")
    make_run()
    said = make_client(scope="read").get(BIN).json()
    assert said == {
        "deleted_runs": [
            {
                "id": run.pk, "project": "vision", "name": "resnet", "created_time": run.created_at.timestamp(),
                "deleted_at": run.deleted_at.timestamp(), "delete_reason": reason, "original_status": status,
                "run_dir": str(run.directory),
            }
            for run, reason, status in ((last, "user_batch_delete", "finished"), (first, "unknown", "interrupted"))
        ]
    }  # fmt: skip


def test_it_is_empty_at_first_and_needs_a_key():
    assert make_client(scope="read").get(BIN).json() == {"deleted_runs": []}
    assert Client().get(BIN).status_code == 401


def test_it_lists_any_number_in_two_queries(django_assert_num_queries):
    client = make_client(scope="read")
    for _ in range(3):
        make_deleted()
    client.get(BIN)
    with django_assert_num_queries(2):
        client.get(BIN)


def test_it_brings_runs_back_with_their_status():
    owner = make_user()
    gone, there, foreign = make_deleted(owner=owner, status="failed"), make_run(owner=owner), make_deleted()
    client = make_client(owner)
    answer = post(client, RESTORE, {"run_ids": [gone.pk, there.pk, UNKNOWN, foreign.pk]})
    assert answer.json() == {
        "restored_count": 1,
        "results": {
            gone.pk: {"success": True},
            there.pk: {"success": False, "error": "run not deleted"},
            UNKNOWN: {"success": False, "error": "run not found"},
            foreign.pk: {"success": False, "error": "the run belongs to somebody else"},
        },
        "message": "1 of 4 runs restored",
    }
    assert client.get(f"/api/runs/{gone.pk}").json()["status"] == "failed"
    assert Event.objects.get(run=gone).reason == "Restored"


@pytest.mark.parametrize("body", [{}, {"run_ids": []}, {"run_ids": [UNKNOWN] * 101}, {"run_ids": [""]}])
def test_returns_400_when_the_body_is_bad(body):
    answer = post(make_client(), RESTORE, body)
    assert answer.status_code == 400
    assert isinstance(answer.json()["detail"], str)


def test_restoring_needs_the_scope_submit():
    body = {"run_ids": [make_deleted().pk]}
    assert post(Client(), RESTORE, body).status_code == 401
    assert post(make_client(scope="read"), RESTORE, body).status_code == 403


@pytest.mark.parametrize(
    "path", ["/api/runs/{}", "/api/runs/{}/metrics", "/api/runs/{}/metrics_step", "/api/runs/{}/progress"]
)
def test_a_deleted_run_is_found_by_no_row_until_it_is_restored(path):
    run = make_run()
    client = make_client(run.owner)
    assert client.get(path.format(run.pk)).status_code == 200
    post(client, DELETE, {"run_ids": [run.pk]})
    assert client.get(path.format(run.pk)).status_code == 404
    post(client, RESTORE, {"run_ids": [run.pk]})
    assert client.get(path.format(run.pk)).status_code == 200


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_restores_a_run():
    run = make_deleted()
    client = make_client(run.owner)
    answers = together(*[lambda: post(client, RESTORE, {"run_ids": [run.pk]}).json()["restored_count"]] * 2)
    assert sorted(answers) == [0, 1]
    assert Run.objects.visible().count() == 1
