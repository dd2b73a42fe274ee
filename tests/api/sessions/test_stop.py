"""POST /api/v1/training/{session_id}/stop (T4)."""

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_run, make_session, make_task, make_user
from tests.together import together
from training.models import Event, Run, TaskStatus, TrainingSession

pytestmark = pytest.mark.django_db


def stop(client: Client, session_id: str):
    return client.post(f"/api/v1/training/{session_id}/stop")


def running_session() -> TrainingSession:
    return make_session(task=make_run().task)


def test_it_asks_a_running_one_to_end_and_says_so_at_once():
    session = running_session()
    client = make_client(session.task.owner)
    answer = stop(client, session.pk)

    assert (answer.status_code, list(answer.json())) == (200, ["message"])
    assert session.pk in answer.json()["message"]
    assert Run.objects.get().status == "ending"
    said = client.get(f"/api/v1/training/{session.pk}/status").json()
    assert (said["state"], said["end_time"] is not None, said["error_message"]) == ("stopped", True, None)


@pytest.mark.parametrize("status", ["waiting", "held"])
def test_it_cancels_a_queued_one(status):
    session = make_session(task=make_task(status=status))
    assert stop(make_client(session.task.owner), session.pk).status_code == 200
    session.task.refresh_from_db()
    assert (session.task.status, session.task.ended_at is not None) == ("stopped", True)


def test_it_records_who_stopped_it():
    session = make_session()
    stop(make_client(session.task.owner), session.pk)
    assert Event.objects.get(reason="Stopping").message == f"stopped by {session.task.owner}"


@pytest.mark.parametrize("status", ["completed", "failed", "stopped"])
def test_returns_409_when_it_has_ended(status):
    session = make_session(task=make_task(status=status, pending_runs=0))
    answer = stop(make_client(session.task.owner), session.pk)
    assert answer.status_code == 409
    assert f"{session.pk} is {status}" in answer.json()["detail"]


def test_returns_409_when_it_is_stopped_again():
    session = running_session()
    client = make_client(session.task.owner)
    stop(client, session.pk)
    answer = stop(client, session.pk)
    assert (answer.status_code, f"{session.pk} is stopped" in answer.json()["detail"]) == (409, True)


def test_returns_404_when_unknown_or_deleted():
    session = make_session(task=make_task(status=TaskStatus.STOPPED, deleted_at=timezone.now()))
    client = make_client(session.task.owner)
    for unknown in ("sess_000000000000", "sessions", session.pk):
        assert stop(client, unknown).status_code == 404, unknown


def test_returns_403_when_it_is_somebody_elses():
    session = make_session()
    answer = stop(make_client(), session.pk)
    assert answer.status_code == 403
    assert answer.json()["detail"] == f"training session {session.pk} belongs to somebody else"
    assert stop(make_client(session.task.owner, scope="read"), session.pk).status_code == 403


def test_it_lets_an_administrator_stop_any():
    assert stop(make_client(make_user(is_admin=True), scope="admin"), make_session().pk).status_code == 200


def test_returns_401_without_a_key():
    assert stop(Client(), make_session().pk).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_it_stops_once_when_asked_twice_at_once():
    session = running_session()
    client = make_client(session.task.owner)
    codes = sorted(answer.status_code for answer in together(*[lambda: stop(client, session.pk)] * 2))
    assert codes == [200, 409]
