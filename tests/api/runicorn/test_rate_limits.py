"""Rate limits of the Runicorn API: headers on its answers, 429, and nothing on other doors."""

import json
import logging

import pytest
from django.test import Client

from mlserver.api.rate_limits import Limit, RateLimits, limiter, load, reset_limiter, save
from tests.make import make_client

pytestmark = pytest.mark.django_db
CACHE, GPU = "/api/metrics/cache/stats", "/api/gpu"
HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


@pytest.fixture(autouse=True)
def _own_limits(home, settings):
    """Of a new home; nobody has called yet."""
    settings.RUNICORN_RATE_LIMIT = True
    reset_limiter()
    yield
    reset_limiter()


def written(home, **members):
    (home / "rate_limits.json").write_text(json.dumps(members))
    reset_limiter()


def left(answer) -> tuple[int, int]:
    limit, remaining, reset = (int(answer[name]) for name in HEADERS)
    assert 0 < reset <= 60
    return limit, remaining


def test_it_counts_down_and_refuses(client):
    for remaining in range(59, -1, -1):
        answer = client.get(CACHE)
        assert (answer.status_code, left(answer)) == (200, (60, remaining))
    refused = client.get(CACHE)
    assert (refused.status_code, left(refused)) == (429, (60, 0))
    wait_s = int(refused["Retry-After"])
    assert refused.json() == {"detail": "Rate limit exceeded", "retry_after": wait_s}
    assert 55 <= wait_s <= 60


def test_each_row_has_the_documented_limit(client, run):
    assert left(client.get(f"/api/runs/{run.pk}/metrics_step"))[0] == 60
    assert left(client.get(f"/api/v2/experiments/{run.pk}/metrics/fast"))[0] == 100
    assert left(client.get("/api/gpu/telemetry"))[0] == 120
    assert left(client.get(GPU))[0] == 60
    assert left(Client().get("/api/health"))[0] == 60


def test_all_runs_share_the_bucket_of_a_row(client, home, run):
    written(home, endpoints={"/api/runs/{run_id}/metrics_step": {"max_requests": 2}})
    paths = [f"/api/runs/{run.pk}/metrics_step", "/api/runs/x/metrics_step", f"/api/runs/{run.pk}/metrics_step?x=1"]
    assert [client.get(path).status_code for path in paths] == [200, 400, 429]


def test_every_answer_has_the_headers(client, run):
    answers = [
        Client().get(CACHE),
        Client(headers={"Authorization": "Bearer wrong"}).get(CACHE),
        make_client().post(CACHE),
        client.get("/api/runs/x/metrics"),
        client.get("/api/runs/20260307_091502_4fe0b7/metrics"),
        client.get(f"/api/runs/{run.pk}/metrics?downsample=x"),
        client.head(CACHE),
    ]
    assert [it.status_code for it in answers] == [401, 401, 405, 400, 404, 400, 200]
    assert all(name in it for it in answers for name in HEADERS)


def test_other_doors_have_none(client):
    for path in ("/health", "/", "/api/v1/runs", "/api/v1/system/info", "/api/nothing", "/openapi.json"):
        assert not any(name in client.get(path) for name in HEADERS), path


def test_preflights_are_not_counted(home):
    written(home, default={"max_requests": 1})
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    assert {Client().options(CACHE, headers=asked).status_code for _ in range(3)} == {200}
    assert {Client().options(CACHE).status_code for _ in range(3)} != {429}
    assert left(Client().get(CACHE)) == (1, 0)


def test_addresses_are_counted_apart_and_only_trusted_proxies_name_them(client, home, settings):
    written(home, default={"max_requests": 1})

    def ask(peer: str, forwarded_for: str) -> int:
        return client.get(CACHE, REMOTE_ADDR=peer, headers={"X-Forwarded-For": forwarded_for}).status_code

    assert [ask("192.0.2.1", "198.51.100.1"), ask("192.0.2.1", "198.51.100.2"), ask("192.0.2.2", "x")] == [
        200,
        429,
        200,
    ]
    settings.TRUSTED_PROXIES = ["192.0.2.9"]
    assert [ask("192.0.2.9", "198.51.100.1"), ask("192.0.2.9", "198.51.100.2")] == [200, 200]
    assert ask("192.0.2.9", "198.51.100.1") == 429
    assert [ask("2001:db8::1", ""), ask("2001:db8::ffff", "")] == [200, 429]


@pytest.mark.parametrize("off", ["setting", "file", "localhost"])
def test_it_may_be_switched_off_and_keeps_its_headers(off, client, home, settings):
    options = {"file": {"enable_rate_limiting": False}, "localhost": {"whitelist_localhost": True}}.get(off, {})
    written(home, default={"max_requests": 1}, settings=options)
    settings.RUNICORN_RATE_LIMIT = off != "setting"
    answers = [client.get(CACHE) for _ in range(3)]
    assert [(it.status_code, left(it)) for it in answers] == [(200, (1, 0))] * 3
    elsewhere = [client.get(GPU, REMOTE_ADDR="192.0.2.1").status_code for _ in range(2)]
    assert elsewhere == ([200, 429] if off == "localhost" else [200, 200])


def test_it_says_once_who_calls_too_often(client, home, caplog):
    written(home, default={"max_requests": 1})
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            client.get(CACHE)
    (record,) = [it for it in caplog.records if "too often" in it.message]
    assert record.message == "127.0.0.1 calls GET api/metrics/cache/stats too often: 1 are allowed"


def test_it_says_nothing_when_it_is_told_so(client, home, caplog):
    written(home, default={"max_requests": 1}, settings={"log_violations": False})
    for _ in range(3):
        client.get(CACHE)
    assert "too often" not in caplog.text


def test_its_headers_may_have_other_names(client, home):
    names = {"rate_limit_header": "RateLimit-Limit", "rate_limit_remaining_header": "RateLimit-Remaining"}
    written(home, settings={"custom_headers": names})
    answer = client.get(CACHE, headers={"Origin": "https://elsewhere.example"})
    assert (answer["RateLimit-Limit"], answer["RateLimit-Remaining"], HEADERS[0] in answer) == ("60", "59", False)
    assert "X-RateLimit-Reset" in answer
    assert {"RateLimit-Limit", "RateLimit-Remaining"} <= set(answer["Access-Control-Expose-Headers"].split(", "))


def test_browsers_of_other_origins_may_read_the_documented_headers(client, home):
    written(home, default={"max_requests": 1})
    for status in (200, 429):
        answer = client.get(CACHE, headers={"Origin": "https://elsewhere.example"})
        exposed = answer["Access-Control-Expose-Headers"].lower().split(", ")
        assert (answer.status_code, {name.lower() for name in HEADERS} <= set(exposed)) == (status, True)
        assert answer["Access-Control-Allow-Origin"] == "*"


def test_it_says_how_many_logs_an_address_may_follow(home, rf):
    from mlserver.accounts.peers import find_peer

    peer = find_peer({"REMOTE_ADDR": "192.0.2.1"}, ())
    assert limiter().most_connections(peer) == 10
    save(RateLimits(endpoints={"/api/runs/{run_id}/logs/ws": Limit(3)}))
    reset_limiter()
    assert limiter().most_connections(peer) == 3
    written(home, settings={"enable_rate_limiting": False})
    assert limiter().most_connections(peer) is None


def test_handshakes_of_logs_are_not_counted_as_open_connections(client, run):
    assert left(client.get(f"/api/runs/{run.pk}/logs/ws"))[0] == 60


def test_a_change_of_the_file_counts_from_the_next_start(client, home):
    client.get(CACHE)
    save(RateLimits(default=Limit(3)))
    assert load().default == Limit(3)
    assert left(client.get(CACHE)) == (60, 58)


def test_it_costs_no_query(client, django_assert_num_queries):
    client.get(CACHE)
    with django_assert_num_queries(1):  # the key
        client.get(CACHE)


def test_keys_are_still_asked_for(home):
    assert make_client(scope="read").get(CACHE).status_code == 200
    assert Client().get(CACHE).status_code == 401
