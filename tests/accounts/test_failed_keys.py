"""Wrong keys are bounded per address, in number and in memory."""

import pytest
from django.test import Client

from mlserver.accounts import failed_keys as module
from mlserver.accounts.failed_keys import FailedKeys
from tests.make import make_key

WHO = "/api/v1/who"
with_urls = pytest.mark.urls("tests.accounts.urls")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _fail(client: Client, times: int, **meta: str) -> list[int]:
    return [client.get(WHO, headers={"X-API-Key": f"wrong{n}"}, **meta).status_code for n in range(times)]


@pytest.mark.django_db
@with_urls
def test_returns_429_when_ten_wrong_keys_came_in_a_minute(client: Client) -> None:
    assert _fail(client, 11) == [401] * 10 + [429]
    answer = client.get(WHO, headers={"X-API-Key": "wrong"})
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert "Too many wrong keys from 127.0.0.1" in answer.json()["detail"]
    assert _fail(client, 1, REMOTE_ADDR="10.0.0.9") == [401]


@pytest.mark.django_db
@with_urls
def test_it_lets_a_long_valid_key_in_while_its_address_waits_and_a_short_one_not(client: Client, settings) -> None:
    settings.API_KEYS = ["short"]
    key = make_key()
    assert client.get(WHO, headers={"X-API-Key": "short"}).status_code == 200
    _fail(client, 10)
    assert client.get(WHO, headers={"X-API-Key": key}).status_code == 200
    assert client.get(WHO, headers={"X-API-Key": "short"}).status_code == 429
    assert client.get(WHO, headers={"X-API-Key": "mls_" + "x" * 43}).status_code == 429


@pytest.mark.django_db
@with_urls
def test_calls_without_a_key_do_not_count(client: Client) -> None:
    assert [client.get(WHO).status_code for _ in range(12)] == [401] * 12


def test_it_forgets_failures_after_a_minute() -> None:
    clock = Clock()
    failures = FailedKeys(2, clock=clock)
    failures.record("a")
    clock.now += 30
    failures.record("a")
    assert failures.wait_s("a") == 30
    clock.now += 29.5
    assert failures.wait_s("a") == 1
    clock.now += 0.5
    assert failures.wait_s("a") == 0
    failures.record("a")
    assert failures.wait_s("a") == 30


def test_it_counts_an_ipv6_site_as_one_address() -> None:
    failures = FailedKeys(2)
    failures.record("2001:db8::1")
    failures.record("2001:db8::ffff")
    assert failures.wait_s("2001:db8::2") > 0
    assert failures.wait_s("2001:db8:0:1::2") == 0
    failures.record("::ffff:10.0.0.1")
    failures.record("10.0.0.1")
    assert failures.wait_s("10.0.0.1") > 0


def test_it_remembers_a_bounded_number_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ADDRESSES", 3)
    failures = FailedKeys(1)
    for n in range(5):
        failures.record(f"10.0.0.{n}")
    assert len(failures) == 3
    assert failures.wait_s("10.0.0.0") == 0
    assert failures.wait_s("10.0.0.4") > 0
