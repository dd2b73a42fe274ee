"""Keys in headers: which counts, what is refused and how it is said."""

import hashlib
import logging
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from mlserver.accounts.models import ApiKey
from tests.make import make_key, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]
WHO = "/api/v1/who"
PAGE = "/page"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer {}"},
        {"Authorization": "bearer   {} "},
        {"Authorization": "TOKEN {}"},
        {"X-API-Key": "{}"},
        {"X-Auth-Token": " {} "},
        {"X-API-Key": "{}", "X-Auth-Token": "wrong"},
        {"Authorization": "Bearer {}", "X-API-Key": "wrong"},
        {"Authorization": "Bearer ", "X-API-Key": "{}"},
        {"Authorization": "Basic dTpw", "X-API-Key": "{}"},
    ],
)
def test_it_takes_a_key_from_each_header_bearer_first(client: Client, headers: dict[str, str]) -> None:
    key = make_key(make_user("ada"))
    answer = client.get(WHO, headers={name: value.format(key) for name, value in headers.items()})
    assert (answer.status_code, answer.json()["user"], answer.json()["scope"]) == (200, "ada", "submit")


def test_returns_401_when_bearer_is_wrong_beside_a_good_header(client: Client) -> None:
    headers = {"Authorization": "Bearer wrong", "X-API-Key": make_key()}
    assert client.get(WHO, headers=headers).status_code == 401


def test_returns_401_with_different_words_when_missing_wrong_expired_or_revoked(client: Client) -> None:
    past = timezone.now() - timedelta(hours=1)
    off = make_user(is_active=False)
    keys = {
        "needs a key": None,
        "is wrong": "mls_nothing",
        "expired on": make_key(expires_at=past),
        "was revoked on": make_key(revoked_at=past),
        "is switched off": make_key(off),
    }
    for words, key in keys.items():
        answer = client.get(WHO, headers={"X-API-Key": key} if key else {})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert words in answer.json()["detail"]


def test_returns_401_when_a_wrong_key_comes_with_a_good_session(client: Client) -> None:
    client.force_login(make_user(is_admin=True))
    assert client.get(WHO).status_code == 200
    assert client.get(WHO, headers={"X-API-Key": "wrong"}).status_code == 401


def test_it_logs_a_hash_of_a_wrong_key_and_never_the_key(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client.get(WHO, headers={"X-API-Key": "hunter2-hunter2"})
    assert hashlib.sha256(b"hunter2-hunter2").hexdigest()[:16] in caplog.text
    assert "hunter2" not in caplog.text


def test_it_stores_no_key_but_its_digest() -> None:
    key = make_key()
    row = ApiKey.objects.get()
    assert key.startswith("mls_") and len(key) >= 47
    assert row.digest == hashlib.sha256(key.encode()).hexdigest()
    assert key not in [str(value) for value in vars(row).values()]
    assert key.startswith(row.prefix) and len(row.prefix) == 10


def test_it_costs_one_query_and_writes_the_use_once_in_five_minutes(client: Client, django_assert_num_queries) -> None:
    headers = {"X-API-Key": make_key()}
    client.get(PAGE, headers=headers)
    used_at = ApiKey.objects.get().last_used_at
    assert used_at is not None
    with django_assert_num_queries(1):  # reading: any key may
        client.get(PAGE, headers=headers)
    with django_assert_num_queries(2):  # changing: the key, and whether its user is among the readers
        client.post(WHO, {}, content_type="application/json", headers=headers)
    assert ApiKey.objects.get().last_used_at == used_at
    ApiKey.objects.update(last_used_at=used_at - timedelta(minutes=6))
    client.get(PAGE, headers=headers)
    assert ApiKey.objects.get().last_used_at >= used_at


def test_it_needs_no_csrf_token_from_a_keyed_call(client: Client) -> None:
    answer = client.post(
        WHO, {"a": 1}, content_type="application/json", headers={"X-API-Key": make_key(), "Origin": "http://x.org"}
    )
    assert answer.status_code == 200


def test_static_keys_act_as_the_first_administrator(client: Client, settings) -> None:
    settings.API_KEYS = ["one", "two words", "clé"]
    make_user()
    chief = make_user("chief", is_admin=True)
    make_user(is_admin=True)
    for key in ("one", "two words"):
        answer = client.get(WHO, headers={"X-API-Key": key})
        assert (answer.json()["user"], answer.json()["scope"]) == (chief.username, "admin")
    assert client.get(WHO, headers={"X-API-Key": "two"}).status_code == 401


def test_an_admin_key_of_somebody_who_is_no_superuser_any_more_only_submits(client: Client) -> None:
    user = make_user(is_admin=True)
    key = make_key(user, scope="admin")
    assert client.get(WHO, headers={"X-API-Key": key}).json()["scope"] == "admin"
    user.is_superuser = False
    user.save()
    assert client.get(WHO, headers={"X-API-Key": key}).json()["scope"] == "submit"


@pytest.mark.parametrize("scope", ["submit", "admin"])
def test_a_key_of_somebody_who_was_put_among_the_readers_only_reads(client: Client, scope: str) -> None:
    user = make_user(is_admin=scope == "admin")
    headers = {"X-API-Key": make_key(user, scope=scope)}
    assert client.post(WHO, {}, content_type="application/json", headers=headers).status_code == 200
    user.is_superuser = False
    user.save()
    user.groups.add(Group.objects.create(name="readers"))
    answer = client.post(WHO, {}, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (403, "This call needs scope submit; the caller has read")
    assert client.get(WHO, headers=headers).json()["scope"] == "read"


@pytest.mark.parametrize(
    ("is_admin", "scope", "queries"),
    [(True, "admin", 0), (True, "submit", 0), (False, "read", 0), (False, "submit", 1)],
)
def test_the_scope_of_a_key_costs_at_most_one_query_in_a_request(
    is_admin: bool, scope: str, queries: int, django_assert_num_queries
) -> None:
    make_key(make_user(is_admin=is_admin), scope=scope)
    key = ApiKey.objects.select_related("user").get()
    with django_assert_num_queries(queries):
        assert key.effective_scope == key.effective_scope == scope


@pytest.mark.parametrize("key", ["\x7f", "ключ", "mls_" + "x" * 5000, "a\tb"])
def test_returns_401_when_the_key_is_garbage(client: Client, key: str) -> None:
    assert client.get(WHO, headers={"X-API-Key": key}).status_code == 401
