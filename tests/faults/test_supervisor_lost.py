"""A supervisor that is killed, a machine that was restarted, a pid that was used again."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.counting import (
    ended_task,
    get,
    log_of,
    processes_of,
    running_task,
    runs_of,
    submit,
    submit_counter,
)  # fmt: skip
from tests.serving import RunningServer, is_alive
from tests.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
time.sleep(600)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(
        tmp_path / "home", env={"MLSERVER_SIMULATED_GPUS": "2x24576", "MLSERVER_CPU_SLOTS": "1"}
    ) as running:
        yield running.start()


def supervisor_pid(server: RunningServer, run_id: str) -> int:
    pid: int = json.loads((server.home / "control" / run_id / "supervisor.json").read_text())["pid"]
    return pid


def test_it_fails_a_run_whose_supervisor_was_killed_and_ends_its_processes(server: RunningServer) -> None:
    task = submit(server, ["python3", "-c", DAEMON], gpus=1)
    run = running_task(server, task["id"])
    until(lambda: len(processes_of(run["id"])) >= 2, what="the daemon runs")
    os.kill(supervisor_pid(server, run["id"]), signal.SIGKILL)
    assert ended_task(server, task["id"])["status"] == "failed"
    (run,) = runs_of(server, task["id"])
    assert run["exit_class"] == "killed"
    assert "supervisor was killed" in run["exit_reason"]
    assert processes_of(run["id"]) == []
    assert get(server, "/api/v1/leases?active=true")["results"] == []


def test_it_does_so_too_when_the_server_was_away(server: RunningServer) -> None:
    task = submit(server, ["sleep", "600"])
    run = running_task(server, task["id"])
    server.stop()
    os.kill(supervisor_pid(server, run["id"]), signal.SIGKILL)
    server.start()
    ended_task(server, task["id"])
    assert runs_of(server, task["id"])[0]["exit_class"] == "killed"
    assert processes_of(run["id"]) == []


def test_it_loses_the_runs_of_another_boot_and_starts_what_waits(server: RunningServer) -> None:
    """A restarted machine, played by records of another boot id on a run whose processes are gone."""
    lost = submit(server, ["sleep", "600"])
    run = running_task(server, lost["id"])
    waiting = submit_counter(server, numbers=3, exit_code=0)
    assert "0 of 1 are free" in get(server, f"/api/v1/tasks/{waiting}")["waiting_reason"]
    server.stop()
    pids = processes_of(run["id"])
    for pid in [supervisor_pid(server, run["id"]), *pids]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(is_alive, pids)))
    for name in ("supervisor", "exec"):
        path = server.home / "control" / run["id"] / f"{name}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "boot_id": "an-earlier-boot"}))
    server.start()
    assert ended_task(server, lost["id"])["status"] == "failed"
    (run,) = runs_of(server, lost["id"])
    assert run["exit_class"] == "node_lost"
    assert ended_task(server, waiting)["status"] == "completed"


def test_it_never_signals_a_process_that_got_the_pid_of_an_ended_one(server: RunningServer) -> None:
    task = submit(server, ["sleep", "600"])
    run = running_task(server, task["id"])
    server.stop()
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        pids = [supervisor_pid(server, run["id"]), *processes_of(run["id"])]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not any(map(is_alive, pids)))
        for name in ("supervisor", "exec"):  # the recorded numbers now belong to the stranger, the start times do not
            path = server.home / "control" / run["id"] / f"{name}.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), "pid": stranger.pid}))
        server.start()
        ended_task(server, task["id"])
        assert runs_of(server, task["id"])[0]["exit_class"] == "killed"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_it_tries_again_after_a_kill_when_retries_are_left(server: RunningServer) -> None:
    task = submit(server, "echo try; [ -e ../tried ] || { touch ../tried; sleep 600; }", max_retries=1, backoff_s=0.2)
    first = running_task(server, task["id"])
    until(lambda: "try" in log_of(server, first["id"]))
    os.kill(supervisor_pid(server, first["id"]), signal.SIGKILL)
    assert ended_task(server, task["id"])["status"] == "completed"
    assert sorted(run["exit_class"] for run in runs_of(server, task["id"])) == ["killed", "ok"]
