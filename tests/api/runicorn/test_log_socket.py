"""R10 on its socket, step by step: what is said, when, and when it ends."""

import asyncio
from pathlib import Path

import pytest

from mlserver.api.sockets import Close, Frame
from tests.logs import WrittenLog, plain_run
from tests.make import make_sdk_run
from training.api.runicorn import log_socket
from training.api.runicorn.log_socket import LogSocket
from training.models import Run

WITHIN_S = 5


class Follower:
    """Listens to a socket; `frames` is what it said."""

    def __init__(self, run: Run | None, address: str = "10.0.0.1", *, most: int | None = 10) -> None:
        self.socket = LogSocket(run, address, most)
        self.frames: list[str] = []
        self.changed = asyncio.Event()

    async def send(self, frame: Frame) -> None:
        assert isinstance(frame, str)
        self.frames.append(frame)
        self.changed.set()

    def start(self) -> "asyncio.Task[Close]":
        return asyncio.create_task(self.socket.run(self.send))

    async def heard(self, *expected: str) -> bool:
        async with asyncio.timeout(WITHIN_S):
            while self.frames != list(expected):
                self.changed.clear()
                await self.changed.wait()
        return True


@pytest.fixture
def run(tmp_path: Path, settings: object) -> Run:
    return plain_run(tmp_path, settings)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_socket, "SOON_S", 0.01)
    monkeypatch.setattr(log_socket, "NOW_AND_THEN_S", 0.1)
    monkeypatch.setattr(log_socket, "WAITING_S", 0.01)


def ended(run: Run | None, address: str = "10.0.0.1") -> tuple[list[str], Close]:
    async def test() -> tuple[list[str], Close]:
        follower = Follower(run, address)
        close = await asyncio.wait_for(follower.start(), WITHIN_S)
        return follower.frames, close

    return asyncio.run(test())


def test_an_unknown_run_is_said_and_the_socket_ends() -> None:
    assert ended(None) == (["[error] run not found"], Close(1000))


def test_it_gives_what_is_there_and_then_what_comes_without_blank_lines(run: Run) -> None:
    log = WrittenLog(run).write("one\n\n  \ntwo\r50%\r100%\n")

    async def test() -> None:
        follower = Follower(run)
        running = follower.start()
        assert await follower.heard("one", "two\r50%\r100%")
        log.write("three\n\nfo")
        assert await follower.heard("one", "two\r50%\r100%", "three", "fo")
        await follower.socket.received("anything")
        log.write("ur\n")
        assert await follower.heard("one", "two\r50%\r100%", "three", "fo", "ur")
        running.cancel()

    asyncio.run(test())


def test_it_stays_when_the_run_ends(run: Run) -> None:
    log = WrittenLog(run).write("one\ntwo")
    log.end()

    async def test() -> None:
        follower = Follower(run)
        running = follower.start()
        assert await follower.heard("one", "two")
        await asyncio.sleep(0.1)
        assert not running.done()
        running.cancel()

    asyncio.run(test())


def test_it_waits_for_a_log(run: Run) -> None:
    async def test() -> None:
        follower = Follower(run)
        running = follower.start()
        assert await follower.heard(log_socket.WAITING)
        WrittenLog(run).write("here\n")
        assert await follower.heard(log_socket.WAITING, log_socket.APPEARED, "here")
        running.cancel()

    asyncio.run(test())


def test_of_a_long_log_the_last_10000_lines_come_after_a_notice(run: Run) -> None:
    WrittenLog(run).write("".join(f"line {number}\n" for number in range(10_005)))

    async def test() -> None:
        follower = Follower(run)
        running = follower.start()
        assert await follower.heard(log_socket.CUT, *(f"line {number}" for number in range(5, 10_005)))
        running.cancel()

    asyncio.run(test())


def test_of_a_huge_log_only_the_end_is_read(run: Run) -> None:
    log = WrittenLog(run).write("first\n")
    with log.path.open("r+b") as file:  # a hole of 5 GiB
        file.truncate(5 * 1024**3)
        file.seek(0, 2)
        file.write(b"\n" + b"".join(b"line %d\n" % number for number in range(20_000)))

    async def test() -> None:
        follower = Follower(run)
        running = follower.start()
        assert await follower.heard(log_socket.CUT, *(f"line {number}" for number in range(10_000, 20_000)))
        running.cancel()

    asyncio.run(test())


def test_a_line_without_end_comes_in_pieces_that_clients_take(run: Run) -> None:
    WrittenLog(run).write(b"x" * 3 * 1024**2)

    async def test() -> None:
        follower = Follower(run)
        running = follower.start()
        async with asyncio.timeout(WITHIN_S):
            while sum(map(len, follower.frames)) < 3 * 1024**2:
                follower.changed.clear()
                await follower.changed.wait()
        assert max(map(len, follower.frames)) < 1024**2
        running.cancel()

    asyncio.run(test())


@pytest.mark.parametrize("has_log", [True, False])
def test_it_ends_after_an_hour_without_news(run: Run, monkeypatch: pytest.MonkeyPatch, has_log: bool) -> None:
    monkeypatch.setattr(log_socket, "ENDS_AFTER_S", 0.1)
    if has_log:
        WrittenLog(run).write("one\n")
    frames, close = ended(run)
    assert frames == (["one"] if has_log else [log_socket.WAITING]) + [log_socket.SILENT]
    assert close == Close(1000)


def test_a_log_that_cannot_be_read_closes_with_1011(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(log_socket.logs, "start_of_tail", broken)
    frames, close = ended(run)
    assert frames == ["[error] the log cannot be read: [Errno 5] Input/output error"]
    assert close.code == 1011


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_deleted_meanwhile_is_not_known_any_more(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_socket, "STILL_THERE_S", 0.05)
    run = make_sdk_run()
    WrittenLog(run).write("one\n")

    async def test() -> None:
        follower = Follower(run)
        running = follower.start()
        assert await follower.heard("one")
        await asyncio.to_thread(delete, run)
        assert await asyncio.wait_for(running, WITHIN_S) == Close(1000)
        assert follower.frames == ["one", "[error] run not found"]

    asyncio.run(test())


def delete(run: Run) -> None:
    from django.db import connection
    from django.utils import timezone

    Run.objects.filter(pk=run.pk).update(deleted_at=timezone.now())
    connection.close()


def test_an_address_has_ten_and_gets_another_when_one_ends(run: Run) -> None:
    WrittenLog(run).write("one\n")

    async def test() -> None:
        followers = [Follower(run) for _ in range(10)]
        running = [follower.start() for follower in followers]
        for follower in followers:
            assert await follower.heard("one")
        late, other = Follower(run), Follower(run, "10.0.0.2")
        assert (await late.start()).code == 1013
        running.append(other.start())
        assert await other.heard("one")
        running[0].cancel()
        await asyncio.wait([running[0]])
        again = Follower(run)
        running.append(again.start())
        assert await again.heard("one")
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        assert not log_socket._open

    asyncio.run(test())


def test_without_a_limit_an_address_has_as_many_as_it_likes(run: Run) -> None:
    WrittenLog(run).write("one\n")

    async def test() -> None:
        followers = [Follower(run, most=None) for _ in range(50)]
        running = [follower.start() for follower in followers]
        assert all([await follower.heard("one") for follower in followers])
        for task in running:
            task.cancel()

    asyncio.run(test())
