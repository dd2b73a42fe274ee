"""Keyless calls from this machine: only on named doors, never through a proxy or from a foreign page."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.make import make_user

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]
TRUSTED, NATIVE = "/api/task/who", "/api/v1/who"


@pytest.fixture(autouse=True)
def _trust(settings) -> None:
    settings.TRUST_LOOPBACK = ["flowline"]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_a_loopback_peer_is_the_user_loopback_with_scope_submit(client: Client, address: str) -> None:
    answer = client.get(TRUSTED, REMOTE_ADDR=address)
    assert (answer.json()["user"], answer.json()["scope"]) == ("loopback", "submit")
    assert client.post(TRUSTED, {}, content_type="application/json", REMOTE_ADDR=address).status_code == 200
    assert not User.objects.get(username="loopback").has_usable_password()


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.2", "", "unix:", "::2"])
def test_returns_401_when_the_peer_is_elsewhere(client: Client, address: str) -> None:
    assert client.get(TRUSTED, REMOTE_ADDR=address).status_code == 401


def test_returns_401_on_doors_that_are_not_named(client: Client, settings) -> None:
    assert client.get(NATIVE).status_code == 401
    settings.TRUST_LOOPBACK = ["runicorn"]
    assert client.get(TRUSTED).status_code == 401
    settings.TRUST_LOOPBACK = []
    assert client.get(TRUSTED).status_code == 401


@pytest.mark.parametrize(
    "header",
    ["Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Ssl", "X-Real-IP"],
)
def test_returns_401_when_a_proxy_shows_itself(client: Client, header: str) -> None:
    assert client.get(TRUSTED, headers={header: "127.0.0.1"}).status_code == 401
    assert client.get(TRUSTED, headers={header: ""}).status_code == 401


def test_returns_401_when_proxies_are_trusted(client: Client, settings) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.1"]
    assert client.get(TRUSTED).status_code == 401


def test_returns_403_when_a_foreign_page_calls_reads_too(client: Client, settings) -> None:
    for origin in ("http://evil.example", "http://testserver:5000", "null"):
        assert client.get(TRUSTED, headers={"Origin": origin}).status_code == 403
        assert client.post(TRUSTED, headers={"Origin": origin}).status_code == 403
    assert client.get(TRUSTED, headers={"Origin": "http://testserver"}).status_code == 200
    settings.ALLOWED_ORIGINS = ["http://ui.example:5000"]
    assert client.get(TRUSTED, headers={"Origin": "http://ui.example:5000"}).status_code == 200


def test_a_wrong_key_is_refused_also_here(client: Client) -> None:
    assert client.get(TRUSTED, headers={"X-API-Key": "wrong"}).status_code == 401


def test_a_logged_in_browser_keeps_its_own_user(client: Client) -> None:
    client.force_login(make_user("ada"))
    assert client.get(TRUSTED).json()["user"] == "ada"


def test_switching_the_user_off_ends_the_trust(client: Client) -> None:
    client.get(TRUSTED)
    User.objects.filter(username="loopback").update(is_active=False)
    assert client.get(TRUSTED).status_code == 401
