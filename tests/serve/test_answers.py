"""Answers of the ASGI application by its protocol: what reaches the client, who holds a thread."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from django.http import HttpResponse

from mlserver.serving.answer import PIECE_BYTES
from mlserver.serving.application import Application
from tests.serve.asking import WITHIN_S, Client, run


class Pieces:
    """A long answer, without a length: what was asked of it, and whether it was closed."""

    def __init__(self, count: int) -> None:
        self.chunks = [b"%03d" % number * PIECE_BYTES for number in range(count)]
        self.made = 0
        self.is_closed = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return self

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            self.made += 1
            yield chunk

    def close(self) -> None:
        self.is_closed.set()


class Stalled(Client):
    """Reads nothing until `reads` is set."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.messages.get_nowait()
        self.reads = asyncio.Event()

    async def send(self, message: dict[str, Any]) -> None:
        await self.reads.wait()
        await super().send(message)


def test_clients_that_do_not_read_hold_no_thread_and_one_piece_each() -> None:
    async def test() -> None:
        long = [Pieces(5) for _ in range(10)]
        left = iter(long)
        served = Application(lambda *wsgi: next(left)(*wsgi), threads=1)
        stalled = [Stalled() for _ in long]
        answers = [asyncio.create_task(client.ask(served)) for client in stalled]
        async with asyncio.timeout(WITHIN_S):
            while sum(each.made for each in long) < len(long):
                await asyncio.sleep(0)
        left = iter([Pieces(1)])
        assert (await Client().ask(served)).status == 200
        assert [each.made for each in long] == [1] * len(long)
        for client in stalled:
            client.reads.set()
        await asyncio.gather(*answers)
        assert all(client.is_complete for client in stalled)
        assert all(each.is_closed.is_set() for each in long)
        assert {client.body for client in stalled} == {b"".join(long[0].chunks)}

    run(test)


def test_the_rest_of_a_long_answer_is_not_made_for_a_client_that_left() -> None:
    async def test() -> None:
        long, client = Pieces(5), Stalled()
        served = Application(long, threads=1)
        answered = asyncio.create_task(client.ask(served))
        async with asyncio.timeout(WITHIN_S):
            while not long.made:
                await asyncio.sleep(0)
        client.reads.set()
        client.leave()
        await answered
        assert await asyncio.to_thread(long.is_closed.wait, WITHIN_S)
        assert long.made < 5

    run(test)


def test_an_answer_of_one_chunk_is_one_message_whatever_its_size() -> None:
    body = b"x" * (5 * PIECE_BYTES)

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    async def test() -> None:
        client = await Client().ask(Application(wsgi, threads=1))
        assert client.got[1:] == [{"type": "http.response.body", "body": body}]

    run(test)


def test_a_long_answer_that_fails_stays_incomplete_and_is_closed() -> None:
    class Failing(Pieces):
        def __iter__(self) -> Iterator[bytes]:
            yield self.chunks[0]
            raise RuntimeError("the rest is missing")

    async def test() -> None:
        long, client = Failing(1), Client()
        client.messages.get_nowait()
        with pytest.raises(RuntimeError, match="the rest"):
            await client.ask(Application(long, threads=1))
        assert not client.is_complete
        assert long.is_closed.is_set()

    run(test)


def test_what_was_sent_does_not_wait_for_the_collector() -> None:
    """DRF's view, request and response know each other."""
    made: list[HttpResponse] = []

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        made.append(HttpResponse(b"x" * 1000))
        start_response("200 OK", [("Content-Length", "1000")])
        return made[0]

    async def test() -> None:
        assert (await Client().ask(Application(wsgi, threads=1))).body == b"x" * 1000
        assert made[0].content == b""

    run(test)
