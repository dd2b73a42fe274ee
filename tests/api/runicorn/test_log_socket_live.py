"""R10 from a real server, with a client that a user would take."""

import asyncio
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.serving import RunningServer
from tests.waiting import until

pytestmark = pytest.mark.process
UNKNOWN = "20200101_000000_abcdef"
WITHIN_S = 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("sockets") / "home") as running:
        yield running.start()


def started_run(server: RunningServer, command: str) -> str:
    task = server.api.post("/api/v1/tasks", json={"command": command}).json()["id"]
    runs = until(lambda: server.api.get(f"/api/v1/runs?task={task}").json()["results"], what="a run")
    run_id: str = runs[0]["id"]
    return run_id


def opened(server: RunningServer, run_id: str, *, key: str | None = None, **options: object) -> connect:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = f"{server.url.replace('http', 'ws')}/api/runs/{run_id}/logs/ws"
    return connect(url, additional_headers=headers, **options)


def refused(server: RunningServer, run_id: str, **options: object) -> int:
    async def test() -> int:
        with pytest.raises(InvalidStatus) as refusal:
            async with opened(server, run_id, **options):
                pass
        return refusal.value.response.status_code

    return asyncio.run(test())


async def frames(client: ClientConnection, count: int) -> list[object]:
    async with asyncio.timeout(WITHIN_S):
        return [await client.recv() for _ in range(count)]


@pytest.mark.parametrize("key", [None, "wrong-key"])
def test_returns_401_without_a_good_key(server: RunningServer, key: str | None) -> None:
    assert refused(server, UNKNOWN, key=key) == 401


def test_returns_400_when_the_id_is_none(server: RunningServer) -> None:
    assert refused(server, "latest", key=server.key) == 400
    assert refused(server, f"{UNKNOWN}%0A", key=server.key) == 400


def test_returns_426_to_a_plain_request(server: RunningServer) -> None:
    answer = server.api.get(f"/api/runs/{UNKNOWN}/logs/ws")
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert "WebSocket" in answer.json()["detail"]


def test_an_unknown_run_is_said_then_it_closes(server: RunningServer) -> None:
    async def test() -> None:
        async with opened(server, UNKNOWN, key=server.key) as client:
            assert await frames(client, 1) == ["[error] run not found"]
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1000

    asyncio.run(test())


def test_it_follows_a_run_with_a_key_among_the_subprotocols(server: RunningServer) -> None:
    run_id = started_run(server, "for n in 1 2 3; do echo line $n; echo; sleep 0.5; done; echo to stderr >&2")

    async def test() -> None:
        offered = ["mlserver", f"mlserver.key.{server.key}"]
        async with opened(server, run_id, subprotocols=offered, origin="http://elsewhere.example") as client:
            assert client.subprotocol == "mlserver"
            said: list[object] = []
            while "to stderr" not in said:
                said += [line for line in await frames(client, 1) if not str(line).startswith("[info]")]
            assert said == ["line 1", "line 2", "line 3", "to stderr"]

    asyncio.run(test())


def test_many_followers_hold_no_thread_and_close_with_1001_when_the_server_stops(server: RunningServer) -> None:
    run_id = started_run(server, "echo ready; sleep 600")

    async def test() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(follow(number))

    async def follow(number: int) -> None:
        async with opened(server, run_id, key=server.key) as client:
            while await client.recv() != "ready":
                pass
            ready.append(number)
            if len(ready) == 10:
                await asyncio.to_thread(stop)
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1001

    def stop() -> None:
        late = refused_code(server, run_id)
        assert late == 1013
        assert server.api.get("/health").status_code == 200
        _, took_s = server.stop()
        assert took_s < 3

    ready: list[int] = []
    asyncio.run(test())
    server.start()


def refused_code(server: RunningServer, run_id: str) -> int:
    async def test() -> int:
        async with opened(server, run_id, key=server.key) as client:
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code is not None
            return client.close_code

    return asyncio.run(test())


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Trusts loopback peers and counts nobody's calls."""
    env = {"MLSERVER_TRUST_LOOPBACK": "runicorn", "RUNICORN_RATE_LIMIT": "off"}
    with RunningServer(tmp_path_factory.mktemp("open") / "home", env=env) as running:
        yield running.start()


def test_a_trusted_loopback_peer_needs_no_key_and_no_foreign_page_has_it(open_server: RunningServer) -> None:
    assert refused(open_server, UNKNOWN, origin="http://elsewhere.example") == 403
    assert refused(open_server, UNKNOWN, origin=f"http://127.0.0.1:{open_server.port + 1}") == 403

    async def test() -> None:
        async with opened(open_server, UNKNOWN, origin=open_server.url) as client:
            assert await frames(client, 1) == ["[error] run not found"]

    asyncio.run(test())


def test_fifty_followers_of_a_long_log_cost_little(open_server: RunningServer) -> None:
    """Of the last 10000 lines, a megabyte here, nothing is kept for those that read slowly."""
    run_id = started_run(open_server, "seq 1000000000 1000100000; sleep 600")
    log = Path(open_server.api.get(f"/api/v1/runs/{run_id}").json()["run_dir"]) / "logs.txt"
    until(lambda: log.exists() and log.stat().st_size == 11 * 100_001, what="a long log")
    web = open_server.pid("web")

    async def test() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(follow())

    async def follow() -> None:
        async with opened(open_server, run_id, max_queue=1) as client:
            assert "earlier lines are left out" in str(await client.recv())
            assert await client.recv() == "1000090001"
            ready.append(client)
            while len(ready) < 50:
                await asyncio.sleep(0.02)
            assert await asyncio.to_thread(rss_mib, web) - before < 60
            assert (await frames(client, 100))[-1] == "1000090101"

    ready: list[ClientConnection] = []
    before = rss_mib(web)
    asyncio.run(test())


def rss_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1024**2
