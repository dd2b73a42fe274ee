"""POST /api/v1/runs/{id}/heartbeat and /finish (N12)."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_process, make_run, make_sdk_run
from tests.together import together
from training.models import Event, Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> Run:
    return make_sdk_run(is_stale=True)


@pytest.fixture
def client(run: Run) -> Client:
    return make_client(run.owner)


def ask(client: Client, run: Run, action: str, **body: Any):
    return client.post(f"/api/v1/runs/{run.pk}/{action}", body, content_type="application/json")


def test_a_heartbeat_makes_a_stale_run_fresh(run, client):
    answer = ask(client, run, "heartbeat")
    assert (answer.status_code, answer.json()) == (200, {"status": "running", "stop_requested": False})
    run.refresh_from_db()
    assert (run.is_stale, run.heartbeat_at is not None) == (False, True)


def test_a_heartbeat_is_told_that_the_run_should_stop(run, client):
    Run.objects.filter(pk=run.pk).update(status="ending", stop_requested_at=timezone.now())
    assert ask(client, run, "heartbeat").json() == {"status": "ending", "stop_requested": True}


@pytest.mark.parametrize(
    ("body", "status", "exit_class", "reason"),
    [
        ({}, "finished", "ok", "the SDK said: finished"),
        ({"status": "failed", "reason": "NaN"}, "failed", "error", "NaN"),
        ({"status": "stopped"}, "stopped", "stopped", "the SDK said: stopped"),
    ],
)
def test_it_ends_as_its_process_says(body, status, exit_class, reason, run, client):
    process = make_process(run)
    answer = ask(client, run, "finish", **body)
    said = answer.json()
    assert answer.status_code == 200
    assert (said["status"], said["exit_class"], said["exit_reason"]) == (status, exit_class, reason)
    assert said["ended_at"] is not None
    assert Event.objects.filter(run=run, reason=status.capitalize()).exists()
    process.refresh_from_db()
    assert process.ended_at is not None


def test_it_says_when_it_ended(run, client):
    process = make_process(run)
    assert ask(client, run, "finish", ended_at="2026-03-07T09:15:11Z").json()["ended_at"] == "2026-03-07T09:15:11Z"
    process.refresh_from_db()
    assert process.ended_at.year == 2026


def test_a_last_word_that_comes_late_counts(run, client):
    """The process ended while the server could not be reached, and was missed before its word arrived."""
    run.finish("failed", "killed", "process_not_found")
    said = ask(client, run, "finish", status="finished").json()
    assert (said["status"], said["exit_class"]) == ("finished", "ok")
    assert ask(client, run, "finish").status_code == 409


@pytest.mark.parametrize("action", ["heartbeat", "finish"])
def test_returns_409_when_the_run_has_ended(action, run, client):
    ask(client, run, "finish")
    answer = ask(client, run, action)
    assert (answer.status_code, "has ended" in answer.json()["detail"]) == (409, True)


def test_returns_409_when_the_server_executes_the_run():
    run = make_run()
    assert ask(make_client(run.owner), run, "finish").status_code == 409
    run.refresh_from_db()
    assert run.status == "running"


@pytest.mark.parametrize(
    ("field", "value"),
    [("status", "running"), ("status", None), ("status", 1), ("reason", "r" * 2001), ("ended_at", 5)],
)
def test_returns_422_when_a_value_is_refused(field, value, run, client):
    answer = ask(client, run, "finish", **{field: value})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])


@pytest.mark.parametrize("action", ["heartbeat", "finish"])
def test_it_is_the_owners_alone(action, run):
    assert ask(Client(), run, action).status_code == 401
    assert ask(make_client(), run, action).status_code == 403
    assert ask(make_client(run.owner, scope="read"), run, action).status_code == 403


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_two_that_end_it_one_does(run):
    client = make_client(run.owner)
    calls = [
        lambda status=status: ask(client, run, "finish", status=status).status_code for status in ("failed", "finished")
    ]
    assert sorted(together(*calls)) == [200, 409]
    assert Event.objects.filter(run=run).count() == 1
