"""Idempotency-Key: one object, however often and however close together the POST comes."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from mlserver.accounts.models import IdempotentAnswer
from tests.make import make_key, make_user
from training.models import Task

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]
MADE = "/api/v1/made"


@pytest.fixture
def client() -> Client:
    return Client(headers={"X-API-Key": make_key()}, raise_request_exception=False)


def _post(client: Client, body: object, key: str = "k", path: str = MADE):
    return client.post(path, body, content_type="application/json", headers={"Idempotency-Key": key})


def test_the_same_key_and_body_answer_the_first_result(client: Client) -> None:
    first, second = _post(client, {"name": "a", "x": 1}), _post(client, b'{"x": 1,  "name": "a"}')
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert first.headers["Location"] == second.headers["Location"]
    assert second.headers["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first.headers
    assert Task.objects.count() == 1


def test_another_key_path_user_or_none_makes_another_object(client: Client) -> None:
    _post(client, {}, "k1")
    _post(client, {}, "k2")
    client.post(MADE, {}, content_type="application/json")
    client.post(MADE, {}, content_type="application/json")
    other = Client(headers={"X-API-Key": make_key()})
    _post(other, {}, "k1")
    assert Task.objects.count() == 5


@pytest.mark.parametrize(("body", "path"), [({"name": "b"}, MADE), ({"name": "a"}, f"{MADE}?dry_run=1")])
def test_returns_422_when_the_key_comes_with_another_body_or_query(client: Client, body: object, path: str) -> None:
    _post(client, {"name": "a"})
    answer = _post(client, body, path=path)
    assert answer.status_code == 422
    assert "was used with another body" in answer.json()["errors"]["Idempotency-Key"][0]
    assert Task.objects.count() == 1


def test_returns_422_when_the_key_is_too_long(client: Client) -> None:
    assert _post(client, {}, "k" * 256).status_code == 422
    assert _post(client, {}, "k" * 255).status_code == 201


def test_a_refused_call_does_not_use_the_key_up(client: Client) -> None:
    assert _post(client, {"bad": True}).status_code == 422
    assert not IdempotentAnswer.objects.exists()
    assert _post(client, {"name": "good"}).status_code == 201


def test_it_forgets_after_a_day(client: Client) -> None:
    _post(client, {})
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    assert "Idempotent-Replayed" not in _post(client, {}).headers
    assert Task.objects.count() == 2 and IdempotentAnswer.objects.count() == 1


def test_secrets_are_not_kept(client: Client) -> None:
    assert _post(client, {}, path="/api/v1/secrets").json() == {"name": "x", "key": "secret"}
    assert b"secret" not in bytes(IdempotentAnswer.objects.get().body)
    assert _post(client, {}, path="/api/v1/secrets").json() == {"name": "x", "key": None}


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_many_at_once_give_one_object() -> None:
    key = make_key(make_user())
    answers: list[tuple[int, int]] = []
    start = threading.Barrier(4)

    def call() -> None:
        client = Client(headers={"X-API-Key": key})
        start.wait()
        answer = _post(client, {"name": "once"})
        answers.append((answer.status_code, answer.json()["id"]))
        connection.close()

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4 and len(set(answers)) == 1
    assert Task.objects.count() == 1
