"""J3-J9 through a real server: create, list, detail, follow, terminal, stop, events, delete."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.serving import RunningServer
from tests.waiting import until

pytestmark = pytest.mark.process
ENGINE = """#!/bin/sh
# Plays docker: says what it was asked, and runs the command here.
echo "$@" >> "$DOCKER_LOG"
case $1 in
    ps) cat "$DOCKER_LOG.left" 2>/dev/null ;;
    kill) rm -f "$DOCKER_LOG.left" ;;
    run) while [ "$1" != pytorch/pytorch:2.4 ]; do shift; done; shift; touch "$DOCKER_LOG.ran"; exec "$@" ;;
esac
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    root = tmp_path_factory.mktemp("jobs")
    (root / "venv" / "bin").mkdir(parents=True)
    (root / "venv" / "bin" / "python").symlink_to(sys.executable)
    (root / "tools").mkdir()
    (root / "tools" / "docker").write_text(ENGINE)
    (root / "tools" / "docker").chmod(0o755)
    env: dict[str, str | None] = {
        "MLSERVER_SIMULATED_GPUS": "4x24576",
        "JOB_IMAGES": f"torch={root / 'venv'},boxed=docker:pytorch/pytorch:2.4",
        "PATH": f"{root / 'tools'}:{os.environ['PATH']}",
        "DOCKER_LOG": str(root / "docker.log"),
        "MLSERVER_JOB_ENV": "PATH,HOME,DOCKER_LOG",
    }
    with RunningServer(root / "home", env=env) as server:
        yield server.start()


def create(server: RunningServer, **body: object) -> str:
    answer = server.api.post("/api/jobs/create", json={"jobName": "fit", **body})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["jobId"])


def detail(server: RunningServer, job_id: str) -> dict:  # type: ignore[type-arg]
    found: dict = server.api.get(f"/api/jobs/{job_id}").json()["data"]  # type: ignore[type-arg]
    return found


def until_status(server: RunningServer, job_id: str, status: str) -> dict:  # type: ignore[type-arg]
    return until(
        lambda: (found := detail(server, job_id))["status"] == status and found, within_s=30,
        what=f"{job_id} is {status}: {detail(server, job_id)}",
    )  # fmt: skip


def log_of(server: RunningServer, job_id: str, pod: str = "master-0") -> str:
    return str(server.api.get(f"/api/jobs/{job_id}/pods/{job_id}-{pod}/logs").json()["data"]["logs"])


def test_replicas_find_one_another_and_each_sees_its_own_gpus(server: RunningServer) -> None:
    script = "import os; print(*(os.environ[n] for n in ('RANK','WORLD_SIZE','LOCAL_RANK','MLSERVER_GPU_INDICES')))"
    job_id = create(server, command=[sys.executable, "-c", script], replicas=2, gpuCount=2)
    found = until_status(server, job_id, "Completed")
    assert [pod["gpuIds"] for pod in found["pods"]] == [[0, 1], [2, 3]]
    assert [pod["exitCode"] for pod in found["pods"]] == [0, 0]
    assert (log_of(server, job_id), log_of(server, job_id, "worker-0")) == ("0 2 0 0,1", "1 2 1 2,3")


def test_a_followed_log_comes_as_text_and_as_events(server: RunningServer) -> None:
    command = "echo one; sleep 1; echo two >&2; exit 3"
    job_id = create(server, command=command, gpuCount=0)
    until(lambda: detail(server, job_id)["pods"][0]["phase"] != "Pending", what="it runs")
    url = f"/api/jobs/{job_id}/pods/{job_id}-master-0/logs?follow=true"
    with server.api.stream("GET", url) as answer:
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["x-accel-buffering"] == "no" and answer.headers["cache-control"] == "no-store"
        assert "".join(answer.iter_text()) == "one\ntwo\n"
    with server.api.stream("GET", url + "&tailLines=1", headers={"Accept": "text/event-stream"}) as answer:
        text = "".join(answer.iter_text())
    assert text == "data: two\n\nevent: end\ndata: 3\n\n"


def test_a_log_is_followed_from_before_its_job_runs(server: RunningServer) -> None:
    queue = server.api.post("/api/v1/queues", json={"name": "later", "max_running": 0}).json()
    waiting, stopped = (create(server, command="echo one", gpuCount=0, queue="later") for _ in range(2))
    url, events = "/api/jobs/{0}/pods/{0}-master-0/logs?follow=true", {"Accept": "text/event-stream"}
    with server.api.stream("GET", url.format(stopped), headers=events) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        assert server.api.post(f"/api/jobs/{stopped}/stop").status_code == 200
        assert "".join(answer.iter_text()) == ": still following\n\nevent: end\ndata: null\n\n"
    with server.api.stream("GET", url.format(waiting)) as answer:
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert server.api.patch(f"/api/v1/queues/{queue['id']}", json={"max_running": 1}).status_code == 200
        assert "".join(answer.iter_text()) == "one\n"


def test_a_terminal_opens_once_beside_a_running_pod(server: RunningServer) -> None:
    job_id = create(server, command="echo up; sleep 60", gpuCount=0, envs={"COLOUR": "blue"})
    until(lambda: log_of(server, job_id) == "up", what="it runs")
    path = f"/api/jobs/{job_id}/pods/{job_id}-master-0/webterminal"
    url = server.api.get(path).json()["data"]["webTerminalUrl"]
    said = asyncio.run(typed(url, b'\x00echo "$COLOUR" is $((40+2))\r'))
    assert b"blue is 42" in said
    again = httpx.get(url.replace("ws:", "http:"), headers={"Upgrade": "websocket", "Connection": "Upgrade",
                      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"})  # fmt: skip
    assert again.status_code == 403
    assert server.api.post(f"/api/jobs/{job_id}/stop").status_code == 200
    until_status(server, job_id, "ManualTermination")
    assert server.api.get(path).json()["errorCode"] == "INVALID_STATE"
    reasons = [event["reason"] for event in server.api.get(f"/api/jobs/{job_id}/events").json()["data"]["events"]]
    assert reasons[:4] == ["Queued", "Scheduled", "Creating", "Started"] and "Killing" in reasons


async def typed(url: str, frame: bytes) -> bytes:
    said = b""
    async with connect(url) as socket, asyncio.timeout(10):
        await socket.send(b"\x04" + json.dumps({"Height": 24, "Width": 80}).encode())
        await socket.send(frame)
        while b"is 42" not in said:
            said += bytes(await socket.recv())  # type: ignore[arg-type]
    return said


def test_an_image_is_a_python_environment(server: RunningServer, tmp_path: Path) -> None:
    job_id = create(server, command="command -v python; echo $VIRTUAL_ENV", image="torch", gpuCount=0)
    until_status(server, job_id, "Completed")
    venv = str(server.home.parent / "venv")
    assert log_of(server, job_id).splitlines() == [f"{venv}/bin/python", venv]


def test_an_image_is_a_container_that_is_ended_by_its_label(server: RunningServer) -> None:
    log = Path(server.env["DOCKER_LOG"])
    job_id = create(server, command=["sleep", "60"], image="boxed", gpuCount=1, envs={"LR": "0.1"})
    until(lambda: log.with_name("docker.log.ran").exists(), what="the container was started")
    log.with_name("docker.log.left").write_text("c0ffee\n")
    server.api.post(f"/api/jobs/{job_id}/stop")
    until_status(server, job_id, "ManualTermination")
    calls = log.read_text().splitlines()
    run_id = server.api.get("/api/v1/runs").json()["results"][0]["id"]
    started = next(line for line in calls if line.startswith("run "))
    for words in (
        f"--label mlserver.run={run_id}",
        "--env LR",
        '--gpus "device=GPU-simulated-',
        "pytorch/pytorch:2.4 sleep 60",
    ):
        assert words in started
    assert f"ps --quiet --filter label=mlserver.run={run_id}" in calls and "kill c0ffee" in calls


def test_an_unknown_image_says_the_way_out(server: RunningServer) -> None:
    answer = server.api.post("/api/jobs/create", json={"jobName": "a", "command": "true", "image": "nowhere:1"})
    assert answer.status_code == 400 and "JOB_IMAGES=nowhere:1=" in answer.json()["message"]
