"""R3: move runs to the recycle bin."""

import pytest
from django.test import Client

from tests.api.runicorn.binned import DELETE, RESTORE, UNKNOWN, make_deleted, make_files, post
from tests.make import make_client, make_run, make_sdk_run, make_user
from tests.together import together
from training.models import Event, Run, RunAlias

pytestmark = pytest.mark.django_db


def test_it_moves_runs_and_says_of_each_how_it_went():
    owner = make_user()
    run, gone, foreign = make_run(owner=owner), make_deleted(owner=owner), make_run()
    asked = [run.pk, UNKNOWN, gone.pk, foreign.pk, run.pk]
    answer = post(make_client(owner), DELETE, {"run_ids": asked, "more": 1})
    assert answer.status_code == 200
    assert answer.json() == {
        "deleted_count": 1,
        "results": {
            run.pk: {"success": True},
            UNKNOWN: {"success": False, "error": "run not found"},
            gone.pk: {"success": False, "error": "already deleted"},
            foreign.pk: {"success": False, "error": "the run belongs to somebody else"},
        },
        "message": "1 of 4 runs moved to the recycle bin",
    }
    run.refresh_from_db()
    assert run.deleted_at is not None and run.delete_reason == "user_deleted"
    assert Event.objects.get(run=run).reason == "Deleted"
    assert Run.objects.visible().get() == foreign


def test_an_administrator_moves_runs_of_everybody():
    run = make_run()
    assert post(make_client(scope="admin"), DELETE, {"run_ids": [run.pk]}).json()["deleted_count"] == 1


def test_an_active_run_goes_on_and_keeps_its_files(home):
    run = make_files(make_run(status="running"))
    assert post(make_client(run.owner), DELETE, {"run_ids": [run.pk]}).json()["deleted_count"] == 1
    run.refresh_from_db()
    assert run.status == "running"
    assert (run.directory / "logs.txt").exists()


def test_a_deleted_run_goes_on_taking_what_its_script_says_of_it(home):
    run = make_sdk_run()
    client = make_client(run.owner)
    post(client, DELETE, {"run_ids": [run.pk]})
    path = f"/api/v1/runs/{run.pk}"
    batch = {"seq": 0, "steps": [1], "times": [1.0], "values": {"loss": [0.5]}}
    answers = [
        post(client, f"{path}/metrics", batch),
        client.put(f"{path}/summary", {"acc": 1}, content_type="application/json"),
        client.post(f"{path}/logs", b"a line\n", content_type="text/plain", headers={"Upload-Offset": "0"}),
        post(client, f"{path}/heartbeat", {}),
        post(client, f"{path}/finish", {"status": "finished"}),
    ]
    assert [answer.status_code for answer in answers] == [200] * 5, [answer.content for answer in answers]
    assert client.get(path).status_code == 404
    post(client, RESTORE, {"run_ids": [run.pk]})
    said = client.get(f"/api/v2/experiments/{run.pk}").json()
    assert said["experiment"]["status"] == "finished"
    assert said["metrics_summary"]["total_data_points"] == 1


def test_it_takes_the_other_id_of_a_run():
    run = make_run()
    RunAlias.objects.create(alias=UNKNOWN, run=run)
    said = post(make_client(run.owner), DELETE, {"run_ids": [UNKNOWN]}).json()
    assert said["results"] == {UNKNOWN: {"success": True}}
    assert Run.objects.visible().count() == 0


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "run_ids"),
        ({"run_ids": []}, "run_ids"),
        ({"run_ids": "20260307_091502_4fe0b7"}, "run_ids"),
        ({"run_ids": [1]}, "run_ids"),
        ({"run_ids": None}, "run_ids"),
        ({"run_ids": [UNKNOWN] * 101}, "1 to 100"),
        ({"run_ids": ["x"]}, "Invalid run_id format: x."),
        ({"run_ids": [UNKNOWN + "\n"]}, "Invalid run_id format"),
    ],
)
def test_returns_400_and_changes_nothing_when_the_body_is_bad(body, word):
    run = make_run()
    if isinstance(body.get("run_ids"), list) and body["run_ids"]:
        body = {"run_ids": [run.pk, *body["run_ids"]]}
    answer = post(make_client(run.owner), DELETE, body)
    assert answer.status_code == 400
    assert word in answer.json()["detail"]
    assert Run.objects.visible().count() == 1


def test_it_needs_a_key_with_the_scope_submit():
    body = {"run_ids": [make_run().pk]}
    assert post(Client(), DELETE, body).status_code == 401
    assert post(make_client(scope="read"), DELETE, body).status_code == 403
    assert Client().post(DELETE, "x", content_type="text/plain").status_code in (401, 415)


def test_it_costs_the_same_for_any_number(django_assert_num_queries):
    owner = make_user()
    client = make_client(owner)
    client.get("/api/runs")
    for count in (1, 5):
        asked = [make_run(owner=owner).pk for _ in range(count)]
        # The key, its scope, a savepoint, other ids, the runs, the change, its events, the end of the savepoint.
        with django_assert_num_queries(8):
            post(client, DELETE, {"run_ids": asked})


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_moves_a_run():
    run = make_run()
    client = make_client(run.owner)
    answers = together(*[lambda: post(client, DELETE, {"run_ids": [run.pk]}).json()["deleted_count"]] * 2)
    assert sorted(answers) == [0, 1]
    assert Event.objects.filter(run=run, reason="Deleted").count() == 1
