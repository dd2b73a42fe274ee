"""SIGKILL of every process of the server, one by one and all at once, while eight jobs run on eight GPUs."""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.counting import assert_ended_once, processes_of, running_task, runs_of, submit_counter
from tests.serving import RunningServer, is_alive, title
from tests.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

JOBS = 8
NUMBERS = 120  # six seconds of counting


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    env = {"MLSERVER_SIMULATED_GPUS": f"{JOBS}x24576", "MLSERVER_CPU_SLOTS": "8"}
    with RunningServer(tmp_path / "home", env=env) as running:
        yield running.start()


def start_jobs(server: RunningServer) -> list[int]:
    """Eight jobs, ending with 0 and 3 by turns, each on a GPU of its own."""
    task_ids = [submit_counter(server, numbers=NUMBERS, exit_code=3 * (n % 2), gpus=1) for n in range(JOBS)]
    for task_id in task_ids:
        running_task(server, task_id)
    return task_ids


def assert_all_ended_once(server: RunningServer, task_ids: list[int]) -> None:
    for number, task_id in enumerate(task_ids):
        assert_ended_once(server, task_id, numbers=NUMBERS, exit_code=3 * (number % 2))
        assert processes_of(runs_of(server, task_id)[0]["id"]) == []


@pytest.mark.parametrize("role", ["web", "agent", "qcluster", "sentinel", "worker", "pusher", "monitor"])
def test_it_outlives_the_death_of_one_process(server: RunningServer, role: str) -> None:
    task_ids = start_jobs(server)
    server.kill9(role)
    until(server.is_healthy, within_s=20)
    assert_all_ended_once(server, task_ids)


def test_it_outlives_the_death_of_a_worker_that_launches(server: RunningServer) -> None:
    """The worker is killed while it executes a task of the queue, again and again, as the jobs come in."""
    task_ids, killed = [], 0
    for number in range(JOBS):
        task_ids.append(submit_counter(server, numbers=NUMBERS, exit_code=3 * (number % 2), gpus=1))
        if number % 3 == 0 or not killed:
            killed += kill_busy_worker(server)
    until(server.is_healthy, within_s=20)
    assert killed > 0, "no worker was met at work"
    assert_all_ended_once(server, task_ids)


def kill_busy_worker(server: RunningServer) -> int:
    """1 when a worker was seen executing something and killed, within a second."""
    deadline = time.monotonic() + 1
    worker = server.pid("worker")
    while time.monotonic() < deadline:
        if "processing" in title(worker):
            os.kill(worker, signal.SIGKILL)
            return 1
    return 0


@pytest.mark.parametrize("seed", [1, 2])
def test_it_outlives_deaths_in_any_order(server: RunningServer, seed: int) -> None:
    task_ids = start_jobs(server)
    roles = ["web", "agent", "qcluster", "sentinel", "worker", "pusher", "monitor", "serve"]
    random.Random(seed).shuffle(roles)
    for role in roles:
        for pid in server.pids().get(role, [])[:1]:
            os.kill(pid, signal.SIGKILL)
    assert server.process is not None
    server.process.wait(timeout=10)
    server.start()
    assert_all_ended_once(server, task_ids)


def test_it_outlives_the_death_of_serve_and_a_new_start(server: RunningServer) -> None:
    task_ids = start_jobs(server)
    server.kill9("serve")
    server.start()
    assert_all_ended_once(server, task_ids)


def test_it_finds_jobs_that_ended_while_nobody_was_there(server: RunningServer) -> None:
    task_ids = start_jobs(server)
    run_ids = [runs_of(server, task_id)[0]["id"] for task_id in task_ids]
    kill_all_at_once(server)
    until(lambda: not any(processes_of(run_id) for run_id in run_ids), within_s=30, what="the jobs ended by themselves")
    server.start()
    assert_all_ended_once(server, task_ids)


def test_it_outlives_all_deaths_again_and_again(server: RunningServer) -> None:
    task_ids = start_jobs(server)
    for _ in range(2):
        kill_all_at_once(server)
        server.start()
    assert_all_ended_once(server, task_ids)


def test_it_leaves_trainings_running_when_it_is_stopped(server: RunningServer) -> None:
    task_ids = start_jobs(server)
    status, seconds = server.stop()
    assert status == 0
    assert seconds < 3
    server.start()
    assert_all_ended_once(server, task_ids)


def kill_all_at_once(server: RunningServer) -> None:
    pids = [pid for role_pids in server.pids().values() for pid in role_pids]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert server.process is not None
    server.process.wait(timeout=10)
    until(lambda: not any(map(is_alive, pids)), what="all processes of the server are gone")
