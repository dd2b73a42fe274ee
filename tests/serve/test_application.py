"""The ASGI application by its protocol: what reaches Django."""

import asyncio
from typing import Any

import orjson
import pytest

from mlserver.serving import request_body
from tests.serve.asking import Client, answering, run


def read_all(environ: dict[str, Any]) -> dict[str, Any]:
    return {"length": environ.get("CONTENT_LENGTH"), "body": environ["wsgi.input"].read().decode()}


def test_it_hands_over_a_whole_body() -> None:
    async def test() -> None:
        client = Client("POST", headers=[("Content-Length", "6")], body=[b"abc", b"def"])
        assert orjson.loads((await client.ask(answering(read_all))).body) == {"length": "6", "body": "abcdef"}

    run(test)


def test_a_body_without_a_length_gets_one() -> None:
    async def test() -> None:
        client = Client("POST", headers=[("Transfer-Encoding", "chunked")], body=[b"abc", b"def"])
        assert orjson.loads((await client.ask(answering(read_all))).body) == {"length": "6", "body": "abcdef"}

    run(test)


def never(environ: dict[str, Any]) -> None:
    raise AssertionError("this must not reach Django")


@pytest.mark.parametrize("path_limit", [10, 3 * 1024**2])
def test_returns_413_when_the_declared_length_is_too_large_without_reading(path_limit: int) -> None:
    async def test() -> None:
        client = Client("POST", headers=[("Content-Length", str(path_limit + 1))])
        await client.ask(answering(never, body_limit=lambda path: path_limit))
        assert client.status == 413
        assert orjson.loads(client.body)["detail"] == f"the body is refused: it must be at most {path_limit} bytes"
        assert client.messages.qsize() == 1

    run(test)


def test_returns_413_when_a_chunked_body_grows_too_large() -> None:
    async def test() -> None:
        endless = [b"x" * 256 * 1024] * 6
        client = Client("POST", headers=[("Transfer-Encoding", "chunked")], body=endless)
        assert (await client.ask(answering(never))).status == 413
        assert client.messages.qsize() == 1

    run(test)


def test_a_body_a_little_above_the_limit_reaches_django_which_names_its_limit(settings: Any) -> None:
    async def test() -> None:
        body = b"x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        client = Client("POST", headers=[("Content-Length", str(len(body)))], body=[body])
        assert (await client.ask(answering(read_all))).status == 200

    run(test)


def test_batches_of_metrics_may_be_larger_than_other_bodies(settings: Any) -> None:
    limits = [request_body.limit_of(f"/api/v1/runs/20260101_000000_aaaaaa/{noun}") for noun in ("metrics", "summary")]
    assert [limit - request_body.SLACK_BYTES for limit in limits] == [8 * 1024**2, settings.DATA_UPLOAD_MAX_MEMORY_SIZE]


def test_returns_408_when_a_body_does_not_become_whole_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "WITHIN_S", 0.05)

    async def test() -> None:
        client = Client("POST", headers=[("Content-Length", "6")])
        client.messages.get_nowait()
        client.messages.put_nowait({"type": "http.request", "body": b"abc", "more_body": True})
        assert (await client.ask(answering(never))).status == 408
        assert client.headers[b"connection"] == b"close"
        assert "must arrive within" in orjson.loads(client.body)["detail"]

    run(test)


def test_it_drops_a_request_whose_client_left_before_it_was_whole() -> None:
    async def test() -> None:
        client = Client("POST", headers=[("Content-Length", "6")])
        client.messages.get_nowait()
        client.messages.put_nowait({"type": "http.request", "body": b"abc", "more_body": True})
        client.leave()
        assert (await client.ask(answering(never))).got == []

    run(test)


def test_a_slow_body_holds_no_thread() -> None:
    async def test() -> None:
        served = answering(read_all, threads=1)
        slow = Client("POST", headers=[("Content-Length", "6")])
        slow.messages.get_nowait()
        waiting = asyncio.create_task(slow.ask(served))
        assert (await Client().ask(served)).status == 200
        slow.messages.put_nowait({"type": "http.request", "body": b"abcdef", "more_body": False})
        assert orjson.loads((await waiting).body)["body"] == "abcdef"

    run(test)


def test_a_header_with_an_underscore_cannot_pose_as_another() -> None:
    async def test() -> None:
        headers = [("X_Forwarded_For", "6.6.6.6"), ("X-Forwarded-For", "1.1.1.1")]
        client = Client(headers=headers)
        await client.ask(answering(lambda environ: environ.get("HTTP_X_FORWARDED_FOR")))
        assert orjson.loads(client.body) == "1.1.1.1"

    run(test)
