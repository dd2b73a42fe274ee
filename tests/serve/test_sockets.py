"""WebSockets of the ASGI application by its protocol."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mlserver.api.sockets import HEADER, IS_HANDSHAKE, KEY, Close, Frame, Send, SocketResponse
from mlserver.serving.application import Application
from mlserver.serving.sockets import Sockets
from tests.serve.asking import WITHIN_S, run


class Echo:
    """Says hello, then what it hears; ends at `bye`, fails at `fail`."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Frame] = asyncio.Queue()
        self.was_cancelled = False

    async def run(self, send: Send) -> Close:
        await send("hello")
        try:
            while (frame := await self.heard.get()) != "bye":
                await send(frame)
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return Close(4001, "said bye")

    async def received(self, frame: Frame) -> None:
        if frame == "fail":
            raise RuntimeError("cannot hear")
        self.heard.put_nowait(frame)


class Client:
    """One connection; `got` is what the server said."""

    def __init__(self, *, offered: list[str] | None = None, headers: dict[str, str] | None = None) -> None:
        names = [("sec-websocket-protocol", ", ".join(offered))] if offered else []
        self.scope = {
            "type": "websocket", "path": "/api/runs/x/logs/ws", "scheme": "wss", "query_string": b"a=1",
            "http_version": "1.1", "subprotocols": offered or [],
            "headers": [(n.lower().encode(), v.encode()) for n, v in [*(headers or {}).items(), *names]],
        }  # fmt: skip
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.messages.put_nowait({"type": "websocket.connect"})
        self.got: list[dict[str, Any]] = []
        self.changed = asyncio.Event()

    def say(self, frame: Frame) -> None:
        self.messages.put_nowait({"type": "websocket.receive", "text" if isinstance(frame, str) else "bytes": frame})

    def leave(self) -> None:
        self.messages.put_nowait({"type": "websocket.disconnect", "code": 1001})

    async def send(self, message: dict[str, Any]) -> None:
        self.got.append(message)
        self.changed.set()

    async def connect(self, served: Any) -> None:
        await asyncio.wait_for(served(self.scope, self.messages.get, self.send), WITHIN_S)

    async def until_frames(self, *expected: Frame) -> None:
        async with asyncio.timeout(WITHIN_S):
            while self.frames != list(expected):
                self.changed.clear()
                await self.changed.wait()

    @property
    def frames(self) -> list[Frame]:
        sent = [message for message in self.got if message["type"] == "websocket.send"]
        return [message["text"] if "text" in message else message["bytes"] for message in sent]

    @property
    def refusal(self) -> tuple[int, bytes]:
        start, body = self.got
        assert (start["type"], body["type"]) == ("websocket.http.response.start", "websocket.http.response.body")
        return start["status"], body["body"]


def answering(view: Callable[[dict[str, Any]], Any]) -> Any:
    """Serves `view(environ)`: a SocketResponse, or (status, chunks)."""

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        answer = view(environ)
        if isinstance(answer, SocketResponse):
            start_response("101 Switching Protocols", [*answer.items(), ("Content-Length", "0"), ("X-Left", "9")])
            return [b""]
        status, chunks = answer
        start_response(f"{status} x", [("Content-Type", "text/plain")])
        return list(chunks)

    return Application(wsgi, 1)


def test_it_talks_until_the_socket_ends_it() -> None:
    async def test() -> None:
        client = Client(offered=["mlserver"])
        talking = asyncio.create_task(client.connect(answering(lambda _: SocketResponse(Echo()))))
        client.say("one")
        client.say(b"two")
        await client.until_frames("hello", "one", b"two")
        client.say("bye")
        await talking
        accepted = client.got[0]
        assert (accepted["type"], accepted["subprotocol"]) == ("websocket.accept", "mlserver")
        assert (b"x-left", b"9") in accepted["headers"]
        assert {name for name, _ in accepted["headers"]}.isdisjoint({HEADER.lower().encode(), b"content-length"})
        assert client.got[-1] == {"type": "websocket.close", "code": 4001, "reason": "said bye"}

    run(test)


def test_the_handshake_is_a_get_that_says_what_it_is() -> None:
    seen: list[dict[str, Any]] = []

    async def test() -> None:
        client = Client(headers={"Host": "a.example", "X_Forwarded_For": "1.2.3.4"})
        await client.connect(answering(lambda environ: (seen.append(environ), (403, [b"no"]))[1]))
        assert client.refusal == (403, b"no")

    run(test)
    (environ,) = seen
    assert (environ["REQUEST_METHOD"], environ["wsgi.url_scheme"]) == ("GET", "https")
    assert (environ["HTTP_HOST"], environ["QUERY_STRING"]) == ("a.example", "a=1")
    assert environ[IS_HANDSHAKE] is True
    assert environ[KEY] is None
    assert "HTTP_X_FORWARDED_FOR" not in environ


@pytest.mark.parametrize(
    ("offered", "key", "plain"),
    [
        (["mlserver", "mlserver.key.mls_abc"], "mls_abc", "mlserver"),
        (["mlserver.key.a%2Fb%3D", "chat", "mlserver"], "a/b=", "chat"),
        (["mlserver.key.abc"], "abc", None),
        (["mlserver"], None, "mlserver"),
    ],
)
def test_a_key_among_the_subprotocols_is_taken_and_never_echoed(
    offered: list[str], key: str | None, plain: str | None
) -> None:
    seen: list[dict[str, Any]] = []

    async def test() -> None:
        client = Client(offered=offered)
        client.leave()
        await client.connect(answering(lambda environ: (seen.append(environ), SocketResponse(Echo()))[1]))
        assert client.got[0]["subprotocol"] == plain

    run(test)
    assert seen[0][KEY] == key
    assert "HTTP_SEC_WEBSOCKET_PROTOCOL" not in seen[0]


@pytest.mark.parametrize("how", ["the client leaves", "the server stops"])
def test_a_socket_is_cancelled_when_nobody_listens_any_more(how: str) -> None:
    async def test() -> None:
        echo, client = Echo(), Client()
        served = answering(lambda _: SocketResponse(echo))
        talking = asyncio.create_task(client.connect(served))
        await client.until_frames("hello")
        client.leave() if how == "the client leaves" else served.end_streams()
        await talking
        assert echo.was_cancelled
        assert [message["type"] for message in client.got] == ["websocket.accept", "websocket.send"]

    run(test)


def test_a_client_that_goes_while_it_is_written_to_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        client = Client()

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "websocket.send":
                raise ConnectionResetError("gone")
            client.got.append(message)

        client.send = send  # type: ignore[method-assign]
        await client.connect(answering(lambda _: SocketResponse(Echo())))
        assert [message["type"] for message in client.got] == ["websocket.accept"]

    run(test)
    assert caplog.records == []


def test_a_socket_that_fails_closes_with_1011(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        client = Client()
        client.say("fail")
        await client.connect(answering(lambda _: SocketResponse(Echo())))
        assert (client.got[-1]["type"], client.got[-1]["code"]) == ("websocket.close", 1011)

    run(test)
    assert "cannot hear" in caplog.text


@pytest.mark.parametrize("answer", [(200, [b"page"]), (302, []), (404, [b"x" * 300_000, b"y" * 300_000])])
def test_an_answer_that_is_no_socket_and_no_refusal_is_not_sent(answer: tuple[int, list[bytes]]) -> None:
    async def test() -> None:
        client = Client()
        await client.connect(answering(lambda _: answer))
        status, body = client.refusal
        assert status == 400
        assert b"no WebSocket" in body

    run(test)


def test_sockets_are_bounded_and_hold_no_thread() -> None:
    async def test() -> None:
        served = answering(lambda _: SocketResponse(Echo()))
        served._sockets = sockets = Sockets(served._wsgi, served._threads, most=20)
        clients = [Client() for _ in range(20)]
        talking = [asyncio.create_task(client.connect(served)) for client in clients]
        for client in clients:
            await client.until_frames("hello")
        late = Client()
        await late.connect(served)
        assert late.refusal[0] == 503
        for client in clients:
            client.leave()
        await asyncio.gather(*talking)
        assert sockets._count == 0

    run(test)
