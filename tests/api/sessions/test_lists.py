"""GET /api/v1/training/sessions and /queue (T9, T10)."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_dataset, make_epoch, make_run, make_session, make_task, make_user
from training.models import Task

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return make_client(scope="read")


def ids(client: Client, row: str) -> list[str]:
    answer = client.get(f"/api/v1/training/{row}")
    assert answer.status_code == 200
    return [it["session_id"] for it in answer.json()]


def test_it_lists_every_session_with_its_configuration_and_status(client):
    assert client.get("/api/v1/training/sessions").json() == []
    version = make_dataset("iris")
    session = make_session(
        dataset_version=version, learning_rate=0.5, batch_size=8, epochs=4, optimizer="sgd", loss_function="mse"
    )
    (said,) = client.get("/api/v1/training/sessions").json()
    assert list(said) == ["session_id", "config", "status", "created_at"]
    assert said["config"] == {
        "model_architecture": "mlp", "dataset_name": "iris", "learning_rate": 0.5, "batch_size": 8, "epochs": 4,
        "optimizer": "sgd", "loss_function": "mse",
    }  # fmt: skip
    assert said["status"] == client.get(f"/api/v1/training/{session.pk}/status").json()
    assert said["created_at"].endswith("Z")


def test_it_lists_the_newest_first_whoever_owns_them_and_no_other_task(client):
    first, second = make_session(make_user()), make_session(make_user())
    make_task()
    make_session(task=make_task(status="failed", deleted_at=timezone.now()))
    assert ids(client, "sessions") == [second.pk, first.pk]


def test_it_gives_each_failed_session_its_own_reason(client):
    for reason in ("one", "two"):
        session = make_session(task=make_task(name=reason, status="failed", is_session=True))
        make_run(session.task, status="failed", exit_reason=reason)
    make_run(make_task(status="failed"), status="failed", exit_reason="of another task")
    said = client.get("/api/v1/training/sessions").json()
    assert [it["status"]["error_message"] for it in said] == ["two", "one"]


def change(task, **fields):
    for name, value in fields.items():
        setattr(task, name, value)
    task.save()


def test_the_queue_is_in_the_order_of_the_turns(client):
    now = timezone.now()
    late, early, urgent, held = (make_session() for _ in range(4))
    change(early.task, queued_at=now - timedelta(hours=1))
    change(urgent.task, priority=5)
    change(held.task, status="held", priority=9)
    for status in ("active", "completed", "failed", "stopped"):
        make_session(task=make_task(status=status))
    assert ids(client, "queue") == [urgent.pk, early.pk, late.pk, held.pk]
    assert Task.objects.placeable()[0].pk == urgent.task_id
    assert {it["status"]["state"] for it in client.get("/api/v1/training/queue").json()} == {"queued"}


@pytest.mark.parametrize("row", ["sessions", "queue"])
def test_returns_401_without_a_key(row):
    assert Client().get(f"/api/v1/training/{row}").status_code == 401


@pytest.mark.parametrize("row", ["sessions", "queue"])
def test_it_costs_the_same_queries_however_many_there_are(row, client, django_assert_num_queries):
    for _ in range(5):
        make_session()
        session = make_session(task=make_task(status="failed", is_session=True))
        make_epoch(session, 1, make_run(session.task, status="failed"))
    client.get(f"/api/v1/training/{row}")
    with django_assert_num_queries(3 if row == "sessions" else 2):  # key, sessions, reasons
        assert len(client.get(f"/api/v1/training/{row}").json()) == (10 if row == "sessions" else 5)


@pytest.mark.parametrize("accept", ["text/html", "text/csv", "*/*", ""])
@pytest.mark.parametrize("path", ["training/sessions", "training/sess_000000000000/status", "system/info"])
def test_it_answers_json_whatever_is_accepted(path, accept, client):
    answer = client.get(f"/api/v1/{path}", headers={"Accept": accept})
    assert (answer.status_code in (200, 404), answer["Content-Type"]) == (True, "application/json")
