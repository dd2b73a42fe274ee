"""A driver that never answers: work without GPUs goes on, work for GPUs waits and says why."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.counting import ended_task, get, submit
from tests.gpus.hanging import answer_fifo
from tests.serving import RunningServer
from tests.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    env = {"MLSERVER_SIMULATED_GPUS": "1x24576", "MLSERVER_CPU_SLOTS": "2"}
    with RunningServer(tmp_path / "home", env=env) as running:
        yield running.start()


def test_only_work_for_gpus_waits_for_a_silent_driver(server: RunningServer) -> None:
    task = submit(server, ["true"], gpus=1)
    assert ended_task(server, task["id"], within_s=20)["status"] == "completed"
    script = server.home / "simulated_gpus.json"
    os.mkfifo(script)
    until(lambda: "does not answer" in get(server, "/api/v1/gpus")["results"][0]["reason"], what="no sample is fresh")
    began = time.monotonic()
    on_gpu, on_cpu = submit(server, ["true"], gpus=1), submit(server, ["true"])
    assert ended_task(server, on_cpu["id"], within_s=5)["status"] == "completed"
    assert time.monotonic() - began < 5
    assert "the driver does not answer" in get(server, f"/api/v1/tasks/{on_gpu['id']}")["waiting_reason"]
    answer_fifo(script)
    assert ended_task(server, on_gpu["id"], within_s=10)["status"] == "completed"


def test_the_server_stops_while_the_driver_is_silent(server: RunningServer) -> None:
    os.mkfifo(server.home / "simulated_gpus.json")
    until(lambda: "does not answer" in get(server, "/api/v1/gpus")["results"][0]["reason"], what="no sample is fresh")
    agent = server.pid("agent")
    status, took_s = server.stop()
    assert (status, took_s < 5) == (0, True)
    assert not Path(f"/proc/{agent}").exists()
