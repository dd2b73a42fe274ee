"""GET /api/v1/training/{session_id}/status (T5)."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_epoch, make_run, make_session, make_task
from training.models import TaskStatus
from training.models.session import STATES, SessionState, state_of

pytestmark = pytest.mark.django_db

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = AT + timedelta(minutes=1)
KEYS = ["session_id", "state", "current_epoch", "total_epochs", "start_time", "end_time", "error_message"]


@pytest.fixture
def client() -> Client:
    return make_client(scope="read")


def status_of(client: Client, session_id: str):
    return client.get(f"/api/v1/training/{session_id}/status")


def test_every_status_of_a_task_has_a_state():
    assert set(STATES) == set(TaskStatus)
    assert set(STATES.values()) == set(SessionState)


@pytest.mark.parametrize("status", TaskStatus)
def test_a_recorded_stop_shows_on_what_still_runs_alone(status):
    stopped = {"active": "stopped", "held": "queued", "waiting": "queued"}.get(status, status)
    assert state_of(status, is_stop_recorded=True) == stopped


@pytest.mark.parametrize(
    ("task", "state", "start", "end"),
    [
        ({"status": "waiting"}, "queued", None, None),
        ({"status": "held"}, "queued", None, None),
        ({"status": "waiting", "started_at": AT}, "queued", None, None),
        ({"status": "active", "started_at": AT}, "running", AT, None),
        ({"status": "active", "started_at": AT, "stop_requested_at": LATER}, "stopped", AT, LATER),
        ({"status": "stopped", "started_at": AT, "stop_requested_at": AT, "ended_at": LATER}, "stopped", AT, AT),
        ({"status": "stopped", "stop_requested_at": LATER, "ended_at": LATER}, "stopped", None, LATER),
        ({"status": "completed", "started_at": AT, "ended_at": LATER}, "completed", AT, LATER),
    ],
)
def test_it_says_where_a_session_is(task, state, start, end, client):
    session = make_session(task=make_task(**task), epochs=9)
    answer = status_of(client, session.pk)
    assert answer.status_code == 200
    assert list(answer.json()) == KEYS
    assert answer.json() == {
        "session_id": session.pk, "state": state, "current_epoch": None, "total_epochs": 9,
        "start_time": start and f"{start:%Y-%m-%dT%H:%M:%SZ}", "end_time": end and f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "error_message": None,
    }  # fmt: skip


def test_it_says_why_the_newest_run_failed(client):
    session = make_session(task=make_task(status="failed", started_at=AT, ended_at=LATER))
    now = timezone.now()
    make_run(session.task, status="failed", exit_reason="CUDA out of memory", created_at=now - timedelta(hours=1))
    make_run(session.task, status="failed", exit_reason="the loss is not finite since epoch 3", created_at=now)
    said = status_of(client, session.pk).json()
    assert (said["state"], said["error_message"]) == ("failed", "the loss is not finite since epoch 3")


@pytest.mark.parametrize("has_run", [True, False])
def test_it_has_an_error_message_even_when_nobody_gave_a_reason(has_run, client):
    session = make_session(task=make_task(status="failed", ended_at=LATER))
    if has_run:
        make_run(session.task, status="failed", exit_reason="")
    assert "without a word" in status_of(client, session.pk).json()["error_message"]


def test_an_earlier_failure_is_no_error_of_a_session_that_goes_on(client):
    session = make_session(task=make_task(status="active"))
    make_run(session.task, status="failed", exit_reason="killed")
    assert status_of(client, session.pk).json()["error_message"] is None


def test_it_gives_the_last_finished_epoch(client):
    session = make_session(task=make_task(status="active"))
    for epoch in (1, 2):
        make_epoch(session, epoch)
    assert status_of(client, session.pk).json()["current_epoch"] == 2


def test_it_asks_the_database_once_and_again_for_a_failure(client, django_assert_num_queries):
    failed, waiting = make_session(task=make_task(status="failed")), make_session()
    make_run(failed.task, status="failed")
    status_of(client, waiting.pk)
    with django_assert_num_queries(2):  # key, session
        status_of(client, waiting.pk)
    with django_assert_num_queries(3):
        status_of(client, failed.pk)


@pytest.mark.parametrize("row", ["status", "metrics", "history", "logs"])
def test_returns_404_when_unknown_or_deleted(row, client):
    session = make_session(task=make_task(status="failed", deleted_at=timezone.now()))
    for unknown in ("sess_000000000000", "x", "sess_%F0%9F%98%80", session.pk):
        answer = client.get(f"/api/v1/training/{unknown}/{row}")
        assert answer.status_code == 404, unknown
        assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize("row", ["status", "metrics", "history", "logs"])
def test_returns_401_without_a_key(row):
    assert Client().get(f"/api/v1/training/{make_session().pk}/{row}").status_code == 401


@pytest.mark.parametrize("row", ["status", "metrics", "history", "logs"])
def test_returns_405_when_it_is_posted_to(row, client):
    assert make_client().post(f"/api/v1/training/{make_session().pk}/{row}").status_code == 405
