"""POST /api/v1/tasks/{id}/{stop,hold,release,retry} and DELETE /api/v1/tasks/{id} (N4)."""

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_node, make_run, make_task, make_user
from tests.together import together
from training.models import Event, Run, Task

pytestmark = pytest.mark.django_db

STATUSES = ("held", "waiting", "active", "completed", "failed", "stopped")
ALLOWED = {
    "stop": {"held": "stopped", "waiting": "stopped"},
    "hold": {"waiting": "held"},
    "release": {"held": "waiting"},
    "retry": {"completed": "waiting", "failed": "waiting", "stopped": "waiting"},
}


def act(client: Client, action: str, pk: int):
    if action == "delete":
        return client.delete(f"/api/v1/tasks/{pk}")
    return client.post(f"/api/v1/tasks/{pk}/{action}")


@pytest.mark.parametrize(
    ("action", "before", "after"), [(a, b, c) for a, ways in ALLOWED.items() for b, c in ways.items()]
)
def test_it_moves_the_task_and_answers_it(action, before, after):
    task = make_task(status=before)
    client = make_client(task.owner)
    answer = act(client, action, task.pk)

    assert answer.status_code == 200
    assert answer.json()["status"] == after
    assert answer.json() == client.get(f"/api/v1/tasks/{task.pk}").json()


@pytest.mark.parametrize(
    ("action", "status"),
    [
        (a, status)
        for a, ways in ALLOWED.items()
        for status in STATUSES
        if status not in ways and (a, status) != ("stop", "active")
    ],
)
def test_returns_409_when_the_task_is_in_another_state(action, status):
    task = make_task(status=status, pending_runs=0)
    answer = act(make_client(task.owner), action, task.pk)

    assert answer.status_code == 409
    assert f"task {task.pk} is {status}" in answer.json()["detail"]
    task.refresh_from_db()
    assert task.status == status


def test_returns_202_when_its_runs_are_given_their_grace():
    run = make_run()
    answer = act(make_client(run.owner), "stop", run.task_id)

    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["newest_run"]["status"]) == ("active", "ending")
    assert answer.json()["stop_requested_at"] is not None
    said = Event.objects.filter(reason="Stopping").order_by("pk").values_list("run_id", "message")
    why = f"stopped by {run.owner}"
    assert list(said) == [(None, why), (run.pk, f"its processes are told to end: {why}")]


def test_returns_409_when_it_is_stopped_again():
    run = make_run()
    client = make_client(run.owner)
    act(client, "stop", run.task_id)
    answer = act(client, "stop", run.task_id)
    assert (answer.status_code, "stopping" in answer.json()["detail"]) == (409, True)


def test_it_places_a_released_task_in_the_same_request():
    make_node()
    task = make_task(status="held")
    assert act(make_client(task.owner), "release", task.pk).json()["status"] == "active"


def test_it_retries_as_a_new_run_of_the_same_task():
    make_node()
    first = make_run(make_task(status="failed", pending_runs=0, ended_at=timezone.now()), status="failed")
    said = act(make_client(first.owner), "retry", first.task_id).json()

    assert (said["status"], said["ended_at"]) == ("active", None)
    assert said["newest_run"]["id"] != first.pk
    assert Run.objects.filter(task=first.task_id).count() == 2


def test_it_hides_a_deleted_task_and_keeps_its_runs():
    run = make_run(make_task(status="completed", pending_runs=0), status="finished")
    client = make_client(run.owner)
    answer = act(client, "delete", run.task_id)

    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(f"/api/v1/tasks/{run.task_id}").status_code == 404
    assert client.get(f"/api/v1/runs/{run.pk}").status_code == 200


@pytest.mark.parametrize("status", ["held", "waiting", "active"])
def test_returns_409_when_a_task_is_deleted_before_it_ended(status):
    task = make_task(status=status)
    assert act(make_client(task.owner), "delete", task.pk).status_code == 409


@pytest.mark.parametrize("action", [*ALLOWED, "delete"])
def test_returns_403_when_the_task_is_somebody_elses(action):
    task = make_task(status=next(iter(ALLOWED.get(action, ["completed"]))))
    assert act(make_client(), action, task.pk).status_code == 403
    assert act(make_client(task.owner, scope="read"), action, task.pk).status_code == 403


@pytest.mark.parametrize("action", [*ALLOWED, "delete"])
def test_it_lets_an_administrator_direct_any_task(action):
    task = make_task(status=next(iter(ALLOWED.get(action, ["completed"]))))
    admin = make_client(make_user(is_admin=True), scope="admin")
    assert act(admin, action, task.pk).status_code in (200, 204)


@pytest.mark.parametrize("action", [*ALLOWED, "delete"])
def test_returns_404_when_unknown_or_deleted(action):
    task = make_task(status="completed", deleted_at=timezone.now())
    client = make_client(task.owner)
    assert act(client, action, 999).status_code == 404
    assert act(client, action, task.pk).status_code == 404


@pytest.mark.parametrize("action", [*ALLOWED, "delete"])
def test_returns_401_without_a_key(action):
    assert act(Client(), action, make_task().pk).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_it_retries_once_when_asked_twice_at_once():
    task = make_task(status="failed", pending_runs=0)
    client = make_client(task.owner)
    codes = sorted(answer.status_code for answer in together(*[lambda: act(client, "retry", task.pk)] * 2))
    assert codes == [200, 409]
    assert Task.objects.get(pk=task.pk).pending_runs == 1
