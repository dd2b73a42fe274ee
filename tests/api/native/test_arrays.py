"""POST /api/v1/tasks with `array`, and /api/v1/arrays/{id}."""

import pytest
from django.test import Client

from tests.make import make_client, make_node, make_user
from training.models import Task

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return make_client(make_user("ada"))


def submit(client: Client, **body: object):
    return client.post("/api/v1/tasks", {"command": ["x"], "array": 3, **body}, content_type="application/json")


@pytest.fixture
def array_id(client: Client) -> str:
    return submit(client).json()["array_id"]


def test_it_answers_the_first_task_and_where_all_are(client):
    answer = submit(client, array=[{"lr": 0.1}, {"lr": 0.01}])
    assert answer.status_code == 201
    said = answer.json()
    assert (said["array_index"], said["array_size"], said["command"]) == (0, 2, ["x", "--lr", "0.1"])
    listed = client.get(answer["Location"]).json()["results"]
    assert [(task["array_index"], task["config"]) for task in listed] == [(1, {"lr": 0.01}), (0, {"lr": 0.1})]


def test_it_answers_a_repetition_with_the_first_array(client):
    body, headers = {"command": ["x"], "array": 2}, {"Idempotency-Key": "one"}
    one, again = (
        client.post("/api/v1/tasks", body, content_type="application/json", headers=headers) for _ in range(2)
    )
    assert one.json()["array_id"] == again.json()["array_id"]
    assert Task.objects.count() == 2


def test_it_counts_the_statuses(client, array_id):
    Task.objects.filter(array_index=0).update(status="failed")
    assert client.get(f"/api/v1/arrays/{array_id}").json() == {
        "array_id": array_id, "size": 3, "statuses": {"waiting": 2, "failed": 1},
    }  # fmt: skip


def test_it_stops_what_has_not_ended(client, array_id):
    Task.objects.filter(array_index=0).update(status="failed")
    answer = client.post(f"/api/v1/arrays/{array_id}/stop")
    assert answer.json()["statuses"] == {"failed": 1, "stopped": 2}
    assert len(answer.json()["done"]) == 2
    assert client.post(f"/api/v1/arrays/{array_id}/stop").json()["done"] == []


def test_it_holds_and_releases(client, array_id):
    assert client.post(f"/api/v1/arrays/{array_id}/hold").json()["statuses"] == {"held": 3}
    make_node(cpu_slots=2)
    assert client.post(f"/api/v1/arrays/{array_id}/release").json()["statuses"] == {"waiting": 1, "active": 2}


def test_returns_403_when_it_is_somebody_elses(array_id):
    assert make_client().post(f"/api/v1/arrays/{array_id}/stop").status_code == 403
    assert make_client(scope="read").post(f"/api/v1/arrays/{array_id}/stop").status_code == 403
    assert make_client(scope="admin").post(f"/api/v1/arrays/{array_id}/stop").status_code == 200


def test_returns_404_when_unknown(client):
    assert client.get("/api/v1/arrays/array-x").status_code == 404
    assert client.post("/api/v1/arrays/array-x/stop").json() == {"detail": "array array-x does not exist"}


def test_returns_401_without_a_key(array_id):
    assert Client().get(f"/api/v1/arrays/{array_id}").status_code == 401
