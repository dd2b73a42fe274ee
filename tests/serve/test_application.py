"""The ASGI application by its protocol: what reaches Django, what reaches the client, who holds a thread."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import orjson
import pytest

from mlserver.api.streams import HEADER, Send, StreamResponse
from mlserver.serving import application
from mlserver.serving.application import Application

WITHIN_S = 5


class Client:
    """One request. `sent` are the messages it still gives to the server, `got` those it was answered."""

    def __init__(
        self, method: str = "GET", *, headers: Iterable[tuple[str, str]] = (), body: Iterable[bytes] = ()
    ) -> None:
        self.scope = {
            "type": "http", "method": method, "path": "/api/v1/tasks", "query_string": b"", "http_version": "1.1",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        }  # fmt: skip
        chunks = list(body) or [b""]
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for number, chunk in enumerate(chunks, 1):
            self.messages.put_nowait({"type": "http.request", "body": chunk, "more_body": number < len(chunks)})
        self.got: list[dict[str, Any]] = []
        self.changed = asyncio.Event()

    def leave(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})

    async def send(self, message: dict[str, Any]) -> None:
        self.got.append(message)
        self.changed.set()

    async def ask(self, served: Application) -> "Client":
        await asyncio.wait_for(served(self.scope, self.messages.get, self.send), WITHIN_S)
        return self

    async def until_body(self, expected: bytes) -> None:
        async with asyncio.timeout(WITHIN_S):
            while self.body != expected:
                self.changed.clear()
                await self.changed.wait()

    @property
    def status(self) -> int:
        return int(self.got[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.got[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.got[1:])

    @property
    def is_complete(self) -> bool:
        return not self.got[-1].get("more_body", False)


def answering(view: Callable[[dict[str, Any]], Any], threads: int = 1) -> Application:
    """Serves `view(environ)`: a StreamResponse, or anything that JSON can say."""

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        answer = view(environ)
        if isinstance(answer, StreamResponse):
            start_response("200 OK", [*answer.items(), ("Content-Length", "0")])
            return [b""]
        start_response("200 OK", [("Content-Type", "application/json")])
        return [orjson.dumps(answer)]

    return Application(wsgi, threads)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 4 * WITHIN_S))  # type: ignore[arg-type]


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


def test_returns_413_when_the_declared_length_is_too_large_without_reading() -> None:
    async def test() -> None:
        client = Client("POST", headers=[("Content-Length", str(application.BODY_LIMIT_BYTES + 1))])
        await client.ask(answering(never))
        assert client.status == 413
        assert str(application.BODY_LIMIT_BYTES) in orjson.loads(client.body)["detail"]
        assert client.messages.qsize() == 1

    run(test)


def test_returns_413_when_a_chunked_body_grows_too_large() -> None:
    async def test() -> None:
        endless = [b"x" * 1024**2] * 6
        client = Client("POST", headers=[("Transfer-Encoding", "chunked")], body=endless)
        assert (await client.ask(answering(never))).status == 413

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


def test_a_long_answer_arrives_whole_and_waits_for_a_slow_client() -> None:
    chunks = [b"%d " % number for number in range(100)]
    made: list[bytes] = []

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        for chunk in chunks:
            made.append(chunk)
            yield chunk

    async def test() -> None:
        served = Application(wsgi, threads=1)
        reads = asyncio.Event()

        class Slow(Client):
            async def send(self, message: dict[str, Any]) -> None:
                await reads.wait()
                await super().send(message)

        client = Slow()
        answered = asyncio.create_task(client.ask(served))
        async with asyncio.timeout(WITHIN_S):
            while len(made) < application.QUEUE_SIZE:
                await asyncio.sleep(0)
        assert len(made) < 2 * application.QUEUE_SIZE
        reads.set()
        await answered
        assert client.body == b"".join(chunks)
        assert client.is_complete

    run(test)


class Counting:
    """Writes 1, 2, 3, then waits to be cancelled or told to end."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.was_cancelled = False

    async def run(self, send: Send, is_gone: Callable[[], bool]) -> None:
        for number in (b"1", b"2", b"3"):
            await send(number)
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_cancelled = is_gone()
            raise


def test_a_stream_is_written_after_its_head_and_ends_whole() -> None:
    async def test() -> None:
        stream = Counting()
        client = Client()
        answered = asyncio.create_task(client.ask(answering(lambda _: StreamResponse(stream))))
        await client.until_body(b"123")
        assert not client.is_complete
        stream.may_end.set()
        await answered
        assert client.is_complete
        assert client.headers[b"content-type"] == b"text/event-stream"
        assert client.headers[b"cache-control"] == b"no-store"
        assert client.headers.keys().isdisjoint({HEADER.lower().encode(), b"content-length"})

    run(test)


def test_streams_hold_no_thread() -> None:
    async def test() -> None:
        streams = [Counting() for _ in range(20)]
        left = iter(streams)
        served = answering(lambda environ: StreamResponse(next(left)) if "HTTP_FOLLOW" in environ else "plain")
        followers = [Client(headers=[("Follow", "1")]) for _ in streams]
        answers = [asyncio.create_task(client.ask(served)) for client in followers]
        for client in followers:
            await client.until_body(b"123")
        assert (await Client().ask(served)).body == b'"plain"'
        assert [thread.name for thread in threading.enumerate()].count("WSGI_0") == 1
        for stream in streams:
            stream.may_end.set()
        await asyncio.gather(*answers)

    run(test)


@pytest.mark.parametrize("how", ["the client leaves", "the server stops"])
def test_a_stream_is_cancelled_when_nobody_reads_it_any_more(how: str) -> None:
    async def test() -> None:
        stream = Counting()
        client = Client()
        served = answering(lambda _: StreamResponse(stream))
        answered = asyncio.create_task(client.ask(served))
        await client.until_body(b"123")
        client.leave() if how == "the client leaves" else served.end_streams()
        await answered
        assert stream.was_cancelled
        assert client.is_complete

    run(test)


def test_a_stream_that_fails_leaves_its_answer_incomplete() -> None:
    class Failing:
        async def run(self, send: Send, is_gone: Callable[[], bool]) -> None:
            await send(b"half")
            raise RuntimeError("the other half is missing")

    async def test() -> None:
        client = Client()
        with pytest.raises(RuntimeError, match="the other half"):
            await client.ask(answering(lambda _: StreamResponse(Failing())))
        assert not client.is_complete

    run(test)


def test_head_of_a_stream_starts_no_stream() -> None:
    async def test() -> None:
        client = await Client("HEAD").ask(answering(lambda _: StreamResponse(Counting())))
        assert (client.status, client.body, client.is_complete) == (200, b"", True)

    run(test)


def test_a_response_that_is_never_sent_is_forgotten() -> None:
    from mlserver.api import streams

    async def test() -> None:
        response = StreamResponse(Counting())
        token = response[HEADER]
        assert token in streams._open
        del response
        assert streams.take(token) is None

    run(test)
