"""J9 from a real server: what clients send and see, and that nothing of a terminal outlives its connection."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.execution.supervised import is_running
from tests.serving import RunningServer
from tests.waiting import until

pytestmark = pytest.mark.process
WITHIN_S = 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    env = {"MLSERVER_CPU_SLOTS": "8"}
    with RunningServer(tmp_path_factory.mktemp("terminals") / "home", env=env) as running:
        yield running.start()


def started_run(server: RunningServer, command: str = "sleep 600") -> str:
    task = server.api.post("/api/v1/tasks", json={"command": command, "env": {"ANSWER": "42"}}).json()["id"]
    found = until(
        lambda: server.api.get(f"/api/v1/runs?task={task}&status=running").json()["results"], what="a running run"
    )
    run_id: str = found[0]["id"]
    return run_id


@pytest.fixture
def run_id(server: RunningServer) -> Iterator[str]:
    run = started_run(server)
    yield run
    task = server.api.get(f"/api/v1/runs/{run}").json()["task"]
    server.api.post(f"/api/v1/tasks/{task}/stop")


def invited(server: RunningServer, run_id: str, **wish: int) -> str:
    answer = server.api.post(f"/api/v1/runs/{run_id}/terminal", json=wish)
    assert answer.status_code == 201, answer.text
    url: str = answer.json()["url"]
    return url


def run_test(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), WITHIN_S))  # type: ignore[arg-type]


async def shown(client: ClientConnection, text: str) -> str:
    """What the terminal shows until that text."""
    said = b""
    while text.encode() not in said:
        frame = await client.recv()
        assert isinstance(frame, bytes)
        said += frame
    return said.decode()


async def closed(client: ClientConnection) -> tuple[str, int | None, str | None]:
    """What it shows to its end, and how that is."""
    said = b""
    with pytest.raises(ConnectionClosed):
        while True:
            said += await client.recv()  # type: ignore[operator]
    return said.decode(), client.close_code, client.close_reason


@asynccontextmanager
async def terminal(server: RunningServer, run_id: str, **wish: int) -> AsyncIterator[ClientConnection]:
    async with connect(await asyncio.to_thread(invited, server, run_id, **wish)) as client:
        yield client


def events(server: RunningServer, run_id: str) -> list[str]:
    rows = server.api.get("/api/v1/events?limit=100").json()["results"]
    return [row["message"] for row in rows if row["run"] == run_id and row["reason"].startswith("Terminal")]


def refused(url: str, **options: object) -> int:
    async def test() -> int:
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(url, **options):  # type: ignore[arg-type]
                pass
        return refusal.value.response.status_code

    return asyncio.run(test())


def test_it_is_a_shell_in_the_environment_of_the_run(server: RunningServer, run_id: str) -> None:
    directory = server.api.get(f"/api/v1/runs/{run_id}").json()["run_dir"]

    async def test() -> None:
        async with terminal(server, run_id) as client:
            await client.send(b"\x04" + json.dumps({"Height": 33, "Width": 101}).encode())
            await client.send(b"\x00echo $MLSERVER_RUN_ID-$ANSWER; pwd; stty size; env | grep -c API_KEYS\n")
            said = await shown(client, "33 101\r\n0\r\n")
            assert f"{run_id}-42\r\n{directory}\r\n" in said
            await client.send("echo text is typed t''oo\n")
            await shown(client, "text is typed too")
            await client.send("exit\n")
            assert (await closed(client))[1:] == (1000, "the shell has ended")

    run_test(test)


def test_heartbeats_and_odd_frames_are_not_typed(server: RunningServer, run_id: str) -> None:
    async def test() -> None:
        async with terminal(server, run_id) as client:
            await client.send("stty -echo; echo rea''dy; cat -v\n")
            await shown(client, "ready\r\n")
            odd = (b"\0\0\0", b"", b"\x04", b"\x04{}", b"\x04[1]", b'\x04{"Height": "9", "Width": 1e9}', b"\x07x", "")
            for frame in odd:
                await client.send(frame)
            await client.send("é\n")
            assert await shown(client, "\r\n") == "M-CM-)\r\n"

    run_test(test)


def test_a_token_is_good_once(server: RunningServer, run_id: str) -> None:
    url = invited(server, run_id)

    async def test() -> None:
        async with connect(url):
            pass

    run_test(test)
    assert refused(url) == 403
    assert refused(url.rpartition("/")[0] + "/" + "x" * 43) == 403
    assert events(server, run_id)[-1] == "rank 0: by a static key of admin from 127.0.0.1"


def test_returns_426_to_a_plain_request_which_uses_no_token_up(server: RunningServer, run_id: str) -> None:
    url = invited(server, run_id)
    assert server.api.get(url.replace("ws:", "http:")).status_code == 426
    run_test(lambda: _opened(url))


def test_a_page_of_another_host_is_refused_and_one_of_another_port_is_not(server: RunningServer, run_id: str) -> None:
    url = invited(server, run_id)
    assert refused(url, origin="http://elsewhere.example") == 403
    assert refused(url, origin="null") == 403
    run_test(lambda: _opened(url, origin="http://127.0.0.1:5000"))


async def _opened(url: str, **options: object) -> None:
    async with connect(url, **options) as client:  # type: ignore[arg-type]
        await client.send("echo here\n")
        await shown(client, "here")


def test_it_ends_with_its_run(server: RunningServer) -> None:
    run = started_run(server, "while [ ! -e ended ]; do sleep 0.1; done")

    async def test() -> None:
        async with terminal(server, run) as client:
            await client.send("touch ended; sleep 600\n")
            said, code, why = await closed(client)
            assert (code, why) == (1000, "the run has ended")
            assert said.endswith("[the run has ended]\r\n")

    run_test(test)
    until(lambda: server.api.get(f"/api/v1/runs/{run}").json()["status"] == "finished", what="the run finished")
    assert server.api.post(f"/api/v1/runs/{run}/terminal").status_code == 409


def child_of(server: RunningServer, run_id: str) -> int:
    """Of a shell that was told to start it away from itself."""
    directory = Path(server.api.get(f"/api/v1/runs/{run_id}").json()["run_dir"])
    return int(until(lambda: (directory / "away").exists() and (directory / "away").read_text().strip()))


AWAY = "rm -f away; setsid sh -c 'sleep 777 & echo $! > away'\n"


def test_nothing_is_left_when_the_client_goes(server: RunningServer, run_id: str) -> None:
    pids: list[int] = []

    async def test() -> None:
        async with terminal(server, run_id) as client:
            await client.send(AWAY)
            pids.append(await asyncio.to_thread(child_of, server, run_id))
            assert is_running(pids[0])

    run_test(test)
    until(lambda: not is_running(pids[0]), what="the end of what the shell started")
    until(lambda: any("its client has gone" in said for said in events(server, run_id)), what="an event")


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_nothing_is_left_when_the_web_process_ends_and_the_run_goes_on(
    server: RunningServer, run_id: str, how: str
) -> None:
    async def test() -> None:
        async with terminal(server, run_id) as client:
            await client.send(AWAY)
            pid = await asyncio.to_thread(child_of, server, run_id)
            await asyncio.to_thread(end)
            await closed(client)
            await asyncio.to_thread(lambda: until(lambda: not is_running(pid), within_s=2, what="its end"))

    def end() -> None:
        if how == "killed":
            server.kill9("web")
        else:
            assert server.stop()[1] < 3

    run_test(test)
    if how == "stopped":
        server.start()
    until(server.is_healthy, what="the web process again")
    assert server.api.get(f"/api/v1/runs/{run_id}").json()["status"] == "running"
