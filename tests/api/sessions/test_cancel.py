"""DELETE /api/v1/training/queue/{session_id} (T11)."""

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_node, make_run, make_session, make_task, make_user
from tests.together import together
from training.models import Run, Task
from training.queue.scheduler import schedule

pytestmark = pytest.mark.django_db


def cancel(client: Client, session_id: str):
    return client.delete(f"/api/v1/training/queue/{session_id}")


@pytest.mark.parametrize("status", ["waiting", "held"])
def test_it_takes_a_queued_one_out(status):
    session = make_session(task=make_task(status=status))
    client = make_client(session.task.owner)
    answer = cancel(client, session.pk)

    assert (answer.status_code, list(answer.json())) == (200, ["message"])
    said = client.get(f"/api/v1/training/{session.pk}/status").json()
    assert (said["state"], said["start_time"], said["end_time"] is not None) == ("stopped", None, True)
    assert client.get("/api/v1/training/queue").json() == []


@pytest.mark.parametrize("status", ["active", "completed", "failed", "stopped"])
def test_returns_409_when_it_is_not_queued(status):
    session = make_session(task=make_task(status=status, pending_runs=0))
    answer = cancel(make_client(session.task.owner), session.pk)
    state = "running" if status == "active" else status
    assert answer.status_code == 409
    assert f"{session.pk} is {state}" in answer.json()["detail"]
    assert Task.objects.get(pk=session.task_id).stop_requested_at is None


def test_returns_404_when_unknown_or_deleted():
    session = make_session(task=make_task(deleted_at=timezone.now()))
    client = make_client(session.task.owner)
    assert cancel(client, "sess_000000000000").status_code == 404
    assert cancel(client, session.pk).status_code == 404


def test_returns_403_when_it_is_somebody_elses():
    session = make_session()
    assert cancel(make_client(), session.pk).status_code == 403
    assert cancel(make_client(session.task.owner, scope="read"), session.pk).status_code == 403
    assert cancel(make_client(make_user(is_admin=True), scope="admin"), session.pk).status_code == 200


def test_returns_401_without_a_key():
    assert cancel(Client(), make_session().pk).status_code == 401


def test_returns_405_when_it_is_read():
    assert make_client().get(f"/api/v1/training/queue/{make_session().pk}").status_code == 405


@pytest.mark.django_db(transaction=True)
def test_it_cancels_once_when_asked_twice_at_once():
    session = make_session()
    client = make_client(session.task.owner)
    codes = sorted(answer.status_code for answer in together(*[lambda: cancel(client, session.pk)] * 2))
    assert codes == [200, 409]


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_it_is_either_cancelled_or_placed_at_the_same_moment():
    make_node()
    session = make_session()
    client = make_client(session.task.owner)
    answer, _ = together(lambda: cancel(client, session.pk).status_code, schedule)
    task = Task.objects.get(pk=session.task_id)
    assert (answer, task.status, Run.objects.count()) in [(200, "stopped", 0), (409, "active", 1)]


def test_a_run_that_waits_for_its_retry_can_be_cancelled():
    session = make_session(task=make_task(status="waiting"))
    make_run(session.task, status="failed")
    assert cancel(make_client(session.task.owner), session.pk).status_code == 200
