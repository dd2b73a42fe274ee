"""The HTTP protocol over real sockets: which connections it ends, and who learns of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from mlserver.serving import protocol
from tests.serve.asking import WITHIN_S, run

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HELLO = [(b"content-length", b"5")]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Quick(protocol.Protocol):
    head_within_s = 0.1
    stalled_after_s = 0.1


@contextlib.asynccontextmanager
async def connected(app: Any, kind: type[protocol.Protocol]) -> AsyncIterator[tuple[Any, Any]]:
    """Reader and writer of a connection that takes little more than nothing without being read."""
    config = uvicorn.Config(app, http=kind, ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(lambda: kind(config, state, {}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=1024)
        try:
            yield reader, writer
        finally:
            writer.close()


class Answering:
    """Counts the requests; answers once `may_answer` is set, or learns that its client has gone."""

    def __init__(self) -> None:
        self.started = 0
        self.changed = asyncio.Event()
        self.has_gone = asyncio.Event()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        self.started += 1
        self.changed.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        self.has_gone.set()


async def hello(scope: Any, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HELLO})
    await send({"type": "http.response.body", "body": b"hello"})


async def within(waiting: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(waiting, WITHIN_S)


@pytest.mark.parametrize("start", [b"", b"\r\n", REQUEST[:-2]])
def test_it_ends_a_connection_whose_head_does_not_become_whole(start: bytes) -> None:
    async def test() -> None:
        async with connected(hello, Quick) as (reader, writer):
            writer.write(start)
            assert await within(reader.read()) == b""

    run(test)


def test_it_ends_a_connection_whose_second_head_does_not_become_whole() -> None:
    async def test() -> None:
        async with connected(hello, Quick) as (reader, writer):
            writer.write(REQUEST)
            assert (await within(reader.readuntil(b"hello"))).endswith(b"hello")
            writer.write(REQUEST[:-2])
            assert await within(reader.read()) == b""

    run(test)


def test_it_ends_a_connection_that_is_not_read_and_the_answer_learns_of_it() -> None:
    ended = asyncio.Event()

    async def endless(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        watching = asyncio.create_task(Answering()(scope, receive, send))
        while not watching.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)
        ended.set()

    async def test() -> None:
        async with connected(endless, Quick) as (_, writer):
            writer.write(REQUEST)
            assert await within(ended.wait())

    run(test)


def test_the_request_that_is_answered_learns_that_its_client_left_though_others_wait_behind_it() -> None:
    async def test() -> None:
        app = Answering()
        async with connected(app, protocol.Protocol) as (_, writer):
            writer.write(REQUEST * 5)
            await within(app.changed.wait())
            writer.close()
            assert await within(app.has_gone.wait())
        assert app.started == 1

    run(test)


def test_requests_sent_ahead_are_answered_in_turn_up_to_a_depth() -> None:
    async def test() -> None:
        async with connected(hello, protocol.Protocol) as (reader, writer):
            writer.write(REQUEST * protocol.PIPELINE_DEPTH)
            for _ in range(protocol.PIPELINE_DEPTH):
                await within(reader.readuntil(b"hello"))
            writer.write(REQUEST * (protocol.PIPELINE_DEPTH + 2))
            with contextlib.suppress(ConnectionResetError):
                assert await within(reader.read()) == b""

    run(test)
