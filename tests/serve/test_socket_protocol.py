"""WebSockets over real connections: which ones the protocol ends, and how."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from mlserver.serving import protocol, socket_protocol
from tests.serve.asking import run

UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
HANDSHAKE = f"GET / HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}Sec-WebSocket-Version: 13\r\n\r\n".encode()


class Quick(socket_protocol.SocketProtocol):
    stalled_after_s = 0.1


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[tuple[str, int, ServerState]]:
    config = uvicorn.Config(
        app, http=protocol.Protocol, ws=Quick, ws_max_size=1000, ws_per_message_deflate=False, lifespan="off",
        log_config=None,
    )  # fmt: skip
    config.load()
    state = ServerState()
    make = lambda: protocol.Protocol(config, state, {})  # noqa: E731
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield host, port, state


class Flooding:
    """Accepts, then writes without end."""

    def __init__(self) -> None:
        self.has_ended = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        try:
            while True:
                await send({"type": "websocket.send", "bytes": b"x" * 10_000})
        finally:
            self.has_ended.set()


async def listening(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


def test_a_client_that_does_not_read_is_dropped() -> None:
    async def test() -> None:
        app = Flooding()
        async with served(app) as (host, port, _):
            _reader, writer = await asyncio.open_connection(host, port, limit=1024)
            writer.write(HANDSHAKE)
            await app.has_ended.wait()
            writer.close()

    run(test)


def test_answers_to_pings_do_not_pile_up_for_a_client_that_does_not_read_them() -> None:
    async def test() -> None:
        async with served(listening) as (host, port, state):
            _reader, writer = await asyncio.open_connection(host, port, limit=1024)
            writer.write(HANDSHAKE)
            ping = b"\x89\xfd" + bytes(4) + bytes(125)
            with contextlib.suppress(ConnectionError):  # ended after a while; before that, not read any more
                for _ in range(1000):
                    writer.write(ping * 1000)
                    await writer.drain()
                    (held,) = [one.transport.get_write_buffer_size() for one in state.connections] or [0]
                    assert held < 1_000_000
            writer.close()

    run(test)


def test_frames_beyond_the_limit_end_the_connection() -> None:
    async def test() -> None:
        async with served(listening) as (host, port, _), connect(f"ws://{host}:{port}") as client:
            await client.send(b"x" * 1001)
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1009

    run(test)


def test_nothing_is_compressed() -> None:
    async def test() -> None:
        async with served(listening) as (host, port, _), connect(f"ws://{host}:{port}") as client:
            assert "Sec-WebSocket-Extensions" not in client.response.headers

    run(test)


def test_the_server_says_that_it_goes_away() -> None:
    async def test() -> None:
        async with served(listening) as (host, port, state), connect(f"ws://{host}:{port}") as client:
            for connection in list(state.connections):
                connection.shutdown()
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert (client.close_code, client.close_reason) == (1001, "the server stops")

    run(test)


@pytest.mark.parametrize(
    ("first_line", "headers", "status"),
    [
        ("GET / HTTP/1.1", "", b"400"),  # without version
        ("GET / HTTP/1.1", "X: " + "y" * 9000 + "\r\n", b"431"),
        ("GET / HTTP/1.1", "A: b\r\n" * 200, b"431"),
        ("POST / HTTP/1.1", "Content-Length: 1\r\n", b""),
    ],
)
def test_a_head_that_is_no_handshake_is_answered_and_ended(first_line: str, headers: str, status: bytes) -> None:
    async def test() -> None:
        async with served(listening) as (host, port, _):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(f"{first_line}\r\nHost: localhost\r\n{headers}{UPGRADE}\r\n".encode())
            answer = await reader.read()
            assert answer[9:12] == status
            writer.close()

    run(test)


def test_a_handshake_behind_a_request_that_is_being_answered_ends_the_connection() -> None:
    async def test() -> None:
        has_gone = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert scope["type"] == "http"
            while (await receive())["type"] != "http.disconnect":
                pass
            has_gone.set()

        async with served(app) as (host, port, _):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + HANDSHAKE)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            await has_gone.wait()
            writer.close()

    run(test)


def test_what_is_said_is_not_logged_at_level_debug(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        with caplog.at_level("DEBUG"):
            async with served(listening) as (host, port, _):
                headers = {"Authorization": "Bearer secret-key"}
                url = f"ws://{host}:{port}"
                logger = logging.getLogger("of this client")
                logger.disabled = True
                async with connect(url, additional_headers=headers, logger=logger) as client:
                    await client.send("secret-text")

    run(test)
    assert "secret" not in caplog.text


def test_a_refused_handshake_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.http.response.start", "status": 403, "headers": [(b"x-why", b"no")]})
        await send({"type": "websocket.http.response.body", "body": b"no"})

    async def test() -> None:
        async with served(refusing) as (host, port, _):
            with pytest.raises(InvalidStatus) as refusal:
                await connect(f"ws://{host}:{port}")
        assert (refusal.value.response.status_code, refusal.value.response.body) == (403, b"no")

    with caplog.at_level("INFO", "uvicorn.error"):
        run(test)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
