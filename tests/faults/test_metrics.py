"""Metrics of jobs and senders while processes of the server are killed: each point arrives, and none twice."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.counting import ended_task, get, runs_of, submit
from tests.serving import RunningServer
from tests.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

# Appends a record each millisecond or so, one write each, as the SDKs do, until it finds the file `enough`.
LOGGING = """
import itertools, json, os, time
os.chdir(os.environ["MLSERVER_RUN_DIR"])
with open("events.jsonl", "a", buffering=1) as file:
    for step in itertools.takewhile(lambda step: not os.path.exists("enough") and step < 50000, itertools.count()):
        data = {"global_step": step, "loss": step / 7, "time": time.time(), "stage": "train" if step % 3 else "val"}
        file.write(json.dumps({"ts": 0, "type": "metrics", "data": data}) + chr(10))
        time.sleep(0.001)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path / "home") as running:
        yield running.start()


def metrics_of(server: RunningServer, run_id: str) -> dict[str, Any]:
    return get(server, f"/api/v1/runs/{run_id}/metrics?points=50000&names=loss")


def assert_complete(server: RunningServer, run_id: str, steps: int) -> None:
    said = metrics_of(server, run_id)
    assert said["steps"] == list(range(steps))
    assert said["values"]["loss"] == [step / 7 for step in range(steps)]
    assert get(server, f"/api/v1/runs/{run_id}")["summary"]["loss"]["count"] == steps


def test_what_a_job_logs_is_seen_while_it_runs_and_arrives_once_whoever_is_killed(server: RunningServer) -> None:
    task = submit(server, [sys.executable, "-c", LOGGING])
    run = runs_of(server, task["id"])[0]
    run_id, run_dir = run["id"], Path(run["run_dir"])
    for role in ("agent", "web", "qcluster", "agent", "agent"):
        seen = seen_points(server, run_id)
        until(lambda seen=seen: seen_points(server, run_id) > seen, within_s=20, what="metrics come in")  # type: ignore[misc]
        server.kill9(role)
        until(server.is_healthy, within_s=20)
    (run_dir / "enough").touch()
    ended_task(server, task["id"])
    assert_complete(server, run_id, len((run_dir / "events.jsonl").read_bytes().splitlines()))


def seen_points(server: RunningServer, run_id: str) -> int:
    return int(metrics_of(server, run_id)["total"])


def test_a_sender_that_repeats_what_was_not_answered_delivers_each_point_once(server: RunningServer) -> None:
    run_id = server.api.post("/api/v1/runs", json={}).json()["id"]
    for seq in range(60):
        if seq % 15 == 7:
            server.kill9("web")
        steps = list(range(seq * 50, seq * 50 + 50))
        body = {"seq": seq, "steps": steps, "times": steps, "values": {"loss": [step / 7 for step in steps]}}
        until(lambda body=body: was_taken(server, run_id, body), within_s=20, what="the batch is answered")  # type: ignore[misc]
    assert_complete(server, run_id, 3000)


def was_taken(server: RunningServer, run_id: str, body: dict[str, Any]) -> bool:
    try:
        answer = server.api.post(f"/api/v1/runs/{run_id}/metrics", json=body)
    except httpx.TransportError:
        return False
    assert answer.status_code in (200, 503), answer.text
    return answer.status_code == 200
