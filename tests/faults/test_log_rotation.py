"""A log that is rotated while it is followed, and while the server dies."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.counting import ended_task, get, running_task, runs_of, submit
from tests.serving import KEY, RunningServer

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

MIB = 1024**2
LINES = 6000  # of a KiB: nearly six files
COUNT = """
import sys, time
for number in range(int(sys.argv[1])):
    print(f"{number:01023d}", flush=True)
    if number % 60 == 0:
        time.sleep(0.05)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    env = {"MLSERVER_LOG_ROTATE_MIB": "1", "MLSERVER_LOG_KEPT": "2"}
    with RunningServer(tmp_path / "home", env=env) as running:
        yield running.start()


def followed(server: RunningServer, run_id: str, *, after: int | None = None) -> Iterator[dict[str, object]]:
    """The lines of the log, live, until the run ends or the server goes away."""
    headers = {"Authorization": f"Bearer {KEY}"} | ({"Last-Event-ID": str(after)} if after is not None else {})
    address = f"{server.url}/api/v1/runs/{run_id}/logs?follow=1&from=0"
    try:
        with httpx.stream("GET", address, headers=headers, timeout=30) as answer:
            for row in answer.iter_lines():
                if row.startswith('data: {"offset"'):
                    yield json.loads(row.removeprefix("data: "))
    except httpx.TransportError:
        return


def test_a_follower_gets_every_line_across_rotations_and_a_death_of_the_server(server: RunningServer) -> None:
    task_id = submit(server, [sys.executable, "-c", COUNT, str(LINES)])["id"]
    run_id = running_task(server, task_id)["id"]
    lines = []
    for line in followed(server, run_id):
        lines.append(line)
        if len(lines) == LINES // 4:
            server.kill9("web")
    assert len(lines) < LINES
    server.kill9("serve")
    server.start()
    end = int(str(lines[-1]["offset"])) + 1024
    lines += followed(server, run_id, after=end)
    missed = [line for line in lines if line["stream"] == "server"]
    numbers = [int(str(line["text"])) for line in lines if line["stream"] == "stdout"]
    assert numbers == sorted(set(numbers))
    assert len(numbers) + sum(int(str(line["text"]).split()[1]) for line in missed) // 1024 == LINES
    run = runs_of(server, task_id)[0]
    assert ended_task(server, task_id)["status"] == "completed"
    files = sorted(path.name for path in Path(run["run_dir"]).glob("logs.txt*"))
    assert len(files) == 3
    assert sum((Path(run["run_dir"]) / name).stat().st_size for name in files) < 3 * MIB + 3 * 65536
    page = get(server, f"/api/v1/runs/{run_id}/logs?tail=3")
    assert [int(line["text"]) for line in page["lines"]] == [LINES - 3, LINES - 2, LINES - 1]
    assert page["size_bytes"] == LINES * 1024
    assert page["kept_from"] == int(files[1].rpartition(".")[2])
    said = server.manage("logs", str(task_id)).stdout.splitlines()
    assert said[0] == f"mlserver: {page['kept_from']} bytes were rotated away"
    assert int(said[1]) == page["kept_from"] // 1024
