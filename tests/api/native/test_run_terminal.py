"""POST /api/v1/runs/<id>/terminal."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from tests.make import make_client, make_process, make_run, make_user
from training.models import Run
from training.terminals import accept

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> Run:
    return make_process().run


def ask(client: Client, run: Run | str, **body: Any) -> Any:
    pk = run.pk if isinstance(run, Run) else run
    return client.post(f"/api/v1/runs/{pk}/terminal", body, content_type="application/json")


def test_it_answers_a_socket_that_is_good_for_a_moment(run: Run) -> None:
    answer = ask(make_client(run.owner), run, handshake_s=10, silence_s=60)
    assert answer.status_code == 201
    url, expires_at = answer.json()["url"], parse_datetime(answer.json()["expires_at"])
    assert url.startswith("ws://testserver/webterminal/")
    assert expires_at is not None
    assert timedelta(seconds=8) < expires_at - timezone.now() <= timedelta(seconds=10)
    found, invitation = accept(url.rpartition("/")[2], "10.0.0.1")
    assert (found, invitation.rank, invitation.silence_s) == (run, 0, 60)
    assert invitation.invited.startswith("key mls_")
    assert invitation.invited.endswith(f"... test of {run.owner.username}")


def test_over_tls_the_socket_is_too(run: Run) -> None:
    answer = make_client(run.owner).post(f"/api/v1/runs/{run.pk}/terminal", "{}", "application/json", secure=True)
    assert answer.json()["url"].startswith("wss://testserver/webterminal/")


def test_an_administrator_may_have_one_beside_any_run(run: Run) -> None:
    assert ask(make_client(scope="admin"), run).status_code == 201


def test_returns_401_without_a_key(client: Client, run: Run) -> None:
    assert ask(client, run).status_code == 401


def test_returns_403_when_the_key_only_reads(run: Run) -> None:
    assert ask(make_client(run.owner, scope="read"), run).status_code == 403


def test_returns_403_when_it_is_somebody_elses(run: Run) -> None:
    assert ask(make_client(make_user()), run).status_code == 403


def test_returns_403_when_terminals_are_switched_off(run: Run, settings: Any) -> None:
    settings.WEB_TERMINAL = False
    answer = ask(make_client(run.owner), run)
    assert (answer.status_code, "WEB_TERMINAL" in answer.json()["detail"]) == (403, True)


def test_returns_404_when_the_run_or_its_rank_is_unknown(run: Run) -> None:
    client = make_client(run.owner)
    assert ask(client, "20200101_000000_abcdef").status_code == 404
    assert ask(client, run, rank=1).status_code == 404


def test_returns_409_when_it_does_not_run() -> None:
    run = make_process(make_run(status="finished")).run
    assert ask(make_client(run.owner), run).status_code == 409


@pytest.mark.parametrize(
    "body", [{"rank": -1}, {"rank": "first"}, {"handshake_s": 4}, {"handshake_s": 301}, {"silence_s": 29}]
)
def test_returns_422_when_a_value_is_refused(run: Run, body: dict[str, Any]) -> None:
    answer = ask(make_client(run.owner), run, **body)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, list(body))
