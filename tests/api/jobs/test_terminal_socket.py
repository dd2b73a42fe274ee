"""The socket of a terminal without a server: silence, refusals, and clients that go too early."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mlserver.api.sockets import Close, Frame
from mlserver.errors import Conflict
from training import terminals
from training.api import terminal_socket
from training.api.terminal_socket import TerminalSocket, size_of
from training.models import Run
from training.terminals import Invitation


class Shell:
    """Stands for a terminal that shows nothing."""

    def __init__(self) -> None:
        self.typed: list[bytes] = []
        self.steps: list[str] = []
        self.over = asyncio.Event()

    async def read(self) -> bytes:
        await self.over.wait()
        return b""

    async def write(self, data: bytes) -> None:
        self.typed.append(data)

    def hang_up(self) -> None:
        self.steps.append("hung up")

    def end(self) -> str:
        self.steps.append("ended")
        return "shell"


@pytest.fixture(autouse=True)
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Why terminals ended, as it goes on record."""
    said: list[str] = []
    monkeypatch.setattr(terminals, "record_end", lambda *_, why, **__: said.append(why))
    yield said
    assert not terminal_socket._open


def socket_of(silence_s: Any = 900, owner_id: int = 1) -> TerminalSocket:
    run = Run(pk="20260101_000000_abcdef", owner_id=owner_id)
    return TerminalSocket(run, Invitation("x", 0, "ada", silence_s, 0), "10.0.0.1")


async def hear(_: Frame) -> None: ...


def test_silence_ends_it_and_any_frame_breaks_the_silence(monkeypatch: pytest.MonkeyPatch, ends: list[str]) -> None:
    async def test() -> None:
        shell = Shell()
        monkeypatch.setattr(terminal_socket, "open_terminal", lambda *_: shell)
        socket = socket_of(silence_s=0.2)
        running = asyncio.create_task(socket.run(hear))
        for _ in range(6):
            await asyncio.sleep(0.1)
            await socket.received(b"\0\0\0")
        assert not running.done()
        assert await running == Close(1000, "nothing was heard for 0.2 s")
        assert shell.steps[-1] == "ended"
        assert shell.typed == []

    asyncio.run(test())
    assert ends == ["nothing was heard for 0.2 s"]


def test_frames_that_come_before_the_shell_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        shell, may_open = Shell(), threading.Event()

        def opened(*_: object) -> Shell:
            may_open.wait(5)
            return shell

        monkeypatch.setattr(terminal_socket, "open_terminal", opened)
        socket = socket_of()
        running = asyncio.create_task(socket.run(hear))
        typing = asyncio.create_task(socket.received("ls\n"))
        await asyncio.sleep(0.05)
        assert not typing.done()
        may_open.set()
        await typing
        assert shell.typed == [b"ls\n"]
        shell.over.set()
        assert (await running).reason == "the shell has ended"

    asyncio.run(test())


def test_a_client_that_goes_while_the_shell_starts_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        shell, may_open, is_asked = Shell(), threading.Event(), threading.Event()

        def opened(*_: object) -> Shell:
            is_asked.set()
            may_open.wait(5)
            return shell

        monkeypatch.setattr(terminal_socket, "open_terminal", opened)
        running = asyncio.create_task(socket_of().run(hear))
        await asyncio.to_thread(is_asked.wait, 5)
        running.cancel()
        await asyncio.sleep(0.05)
        may_open.set()
        await asyncio.wait([running])
        assert shell.steps == ["hung up", "ended"]

    asyncio.run(test())


def test_what_keeps_the_shell_from_starting_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise Conflict("rank 0 has no process")

    monkeypatch.setattr(terminal_socket, "open_terminal", refused)
    assert asyncio.run(socket_of().run(hear)) == Close(1011, "rank 0 has no process")


@pytest.mark.parametrize("bound", ["MOST_TERMINALS", "MOST_OF_ONE"])
def test_there_are_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    async def test() -> None:
        shells = [Shell() for _ in range(3)]
        left = iter(shells)
        monkeypatch.setattr(terminal_socket, "open_terminal", lambda *_: next(left))
        monkeypatch.setattr(terminal_socket, bound, 3)
        running = [asyncio.create_task(socket_of().run(hear)) for _ in shells]
        await asyncio.sleep(0.05)
        assert (await socket_of().run(hear)).code == 1013
        if bound == "MOST_OF_ONE":  # others are not kept waiting for it
            other = Shell()
            other.over.set()
            monkeypatch.setattr(terminal_socket, "open_terminal", lambda *_: other)
            assert (await socket_of(owner_id=2).run(hear)).code == 1000
        for shell in shells:
            shell.over.set()
        await asyncio.gather(*running)

    asyncio.run(test())


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b'{"Height": 24, "Width": 80}', (24, 80)),
        (b'{"Height": 24}', (0, 0)),
        (b'{"Height": true, "Width": 80}', (0, 0)),
        (b'{"Height": 1.5, "Width": 80}', (0, 0)),
        (b"[]", (0, 0)),
        (b"\xff", (0, 0)),
        (b"", (0, 0)),
    ],
)
def test_sizes_are_whole_numbers(said: bytes, expected: tuple[int, int]) -> None:
    assert size_of(said) == expected
