"""Endless answers of the ASGI application by its protocol."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from mlserver.api.streams import HEADER, Send, StreamResponse
from tests.serve.asking import Client, answering, run


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
