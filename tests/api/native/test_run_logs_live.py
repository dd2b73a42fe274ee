"""Following the log of a real run through a real server."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving import RunningServer

pytestmark = pytest.mark.process

COUNT = 60
COUNTER = f"""
import sys, time
for number in range({COUNT}):
    print(number, file=sys.stderr if number % 5 == 4 else sys.stdout)
    time.sleep(0.02)
"""
# More than the web process has threads.
FOLLOWERS = 40


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home: Path = tmp_path_factory.mktemp("live") / "home"
    with RunningServer(home) as running:
        yield running.start()


def run_counter(server: RunningServer) -> str:
    """Submit the counter; the id of its run."""
    answer = server.api.post("/api/v1/tasks", json={"command": ["python3", "-c", COUNTER], "name": "counter"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["newest_run"]["id"])


async def events(client: httpx.AsyncClient, run_id: str, **headers: str) -> AsyncIterator[tuple[str, str, Any]]:
    """(event, id, data) as they come."""
    url = f"/api/v1/runs/{run_id}/logs?follow=1&from=0"
    async with client.stream("GET", url, headers={"Accept": "text/event-stream", **headers}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "x-mlserver-stream" not in answer.headers
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
                fields = {}


def numbers_of(seen: list[tuple[str, str, Any]]) -> list[int]:
    """In the order of counting: two pipes may be read in another."""
    text = "".join(data["text"] + "\n" * (not data["is_partial"]) for kind, _, data in seen if kind == "line")
    return sorted(map(int, text.split()))


def connected(server: RunningServer) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=FOLLOWERS + 1)
    return httpx.AsyncClient(base_url=server.url, headers=dict(server.api.headers), timeout=30, limits=limits)


def test_it_follows_a_run_from_its_first_line_to_its_status(server: RunningServer) -> None:
    run_id = run_counter(server)

    async def follow() -> list[tuple[str, str, Any]]:
        async with connected(server) as client:
            return [event async for event in events(client, run_id)]

    seen = asyncio.run(follow())

    assert numbers_of(seen) == list(range(COUNT))
    assert {data["stream"] for kind, _, data in seen if kind == "line"} == {"stdout", "stderr"}
    assert seen[-1] == ("end", "", {"status": "finished"})


def test_it_resumes_where_the_connection_broke(server: RunningServer) -> None:
    run_id = run_counter(server)

    async def follow() -> list[tuple[str, str, Any]]:
        seen: list[tuple[str, str, Any]] = []
        async with connected(server) as client:
            while not seen or seen[-1][0] != "end":
                headers = {"Last-Event-ID": seen[-1][1]} if seen else {}
                stream = events(client, run_id, **headers)
                async for event in stream:
                    seen.append(event)
                    if len(seen) % 7 == 0:
                        break
                await stream.aclose()  # type: ignore[attr-defined]
        return seen

    assert numbers_of(asyncio.run(follow())) == list(range(COUNT))


def test_many_followers_leave_the_server_free_for_others(server: RunningServer) -> None:
    run_id = run_counter(server)

    async def follow() -> list[list[tuple[str, str, Any]]]:
        async with connected(server) as client:

            async def one() -> list[tuple[str, str, Any]]:
                return [event async for event in events(client, run_id)]

            followers = [asyncio.create_task(one()) for _ in range(FOLLOWERS)]
            while not all(follower.done() for follower in followers):
                answer = await client.get(f"/api/v1/runs/{run_id}")
                assert answer.status_code == 200
            return [await follower for follower in followers]

    for seen in asyncio.run(follow()):
        assert numbers_of(seen) == list(range(COUNT))
        assert seen[-1][0] == "end"


def test_the_command_line_submits_and_follows(server: RunningServer) -> None:
    done = server.manage("submit", "--name", "counter", "--follow", "--", "python3", "-c", COUNTER)
    head, *lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert head.startswith("task ")
    assert sorted(map(int, lines)) == list(range(COUNT))
    task_id = head.split()[1]
    assert str(COUNT - 1) in server.manage("logs", "--tail", "2", task_id).stdout.splitlines()
    assert task_id in server.manage("tasks", "--all").stdout
    failed = server.manage("submit", "--follow", "--shell", "--", "echo no luck; exit 3")
    assert (failed.returncode, failed.stdout.splitlines()[1:]) == (1, ["no luck"])
