"""Load that logs, a server whose processes are killed at random moments meanwhile, and the proof that all arrived."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.scripts import environment
from tests.faults.counting import ended_task, get, runs_of, submit
from tests.serving import KEY, RunningServer
from tests.waiting import until

# Logs until it finds the file `argv[1]`, then leaves in `argv[2]` which run it was and how many steps it logged.
LOGGING = """
import os, sys, time
import mlserver_client as rn
run = rn.init(project="killed", capture_env=False)
steps = 0
while not os.path.exists(sys.argv[1]):
    rn.log({"loss": steps / 7, "even": steps % 2 == 0}, step=steps, stage="train" if steps % 3 else "val")
    steps += 1
    time.sleep(0.01)
with open(sys.argv[2], "w") as file:
    file.write(f"{run.id} {steps}")
"""
JOBS, SENDERS = 3, 2
# How often each is the next to die. serve takes all others with it, and is started again by hand.
ROLES = {"web": 30, "agent": 30, "qcluster": 8, "sentinel": 8, "worker": 8, "monitor": 4, "pusher": 4, "serve": 8}
LONGEST_PAUSE_S = 0.5
# Senders wait this long for the server when their script has ended.
FLUSH_S = 120
MOST_POINTS = 50_000


@dataclass
class Load:
    """Jobs in the queue and scripts outside of it, all with the SDK."""

    folder: Path
    task_ids: list[int]
    senders: list[subprocess.Popen[bytes]]

    @classmethod
    def start(cls, server: RunningServer, folder: Path) -> "Load":
        folder.mkdir()
        jobs = [command(folder, f"job{number}") for number in range(JOBS)]
        env = environment({"MLSERVER_URL": server.url, "MLSERVER_API_KEY": KEY, "MLSERVER_FLUSH_S": str(FLUSH_S)})
        senders = [
            subprocess.Popen(command(folder, f"sender{number}"), cwd=folder, env=env, stdin=subprocess.DEVNULL)
            for number in range(SENDERS)
        ]
        return cls(folder, [submit(server, job)["id"] for job in jobs], senders)

    def end(self, server: RunningServer) -> dict[str, int]:
        """Steps that were logged, by run."""
        (self.folder / "enough").touch()
        for task_id in self.task_ids:
            task = ended_task(server, task_id, within_s=120)
            assert (task["status"], len(runs_of(server, task_id))) == ("completed", 1)
        assert [sender.wait(timeout=FLUSH_S + 30) for sender in self.senders] == [0] * SENDERS
        said = [path.read_text().split() for path in self.folder.glob("*.said")]
        assert len(said) == JOBS + SENDERS
        return {run_id: int(steps) for run_id, steps in said}

    def kill(self) -> None:
        for sender in self.senders:
            sender.kill()
            sender.wait()


def command(folder: Path, name: str) -> list[str]:
    return [sys.executable, "-c", LOGGING, str(folder / "enough"), str(folder / f"{name}.said")]


def kill_at_random(server: RunningServer, kills: int, seed: int) -> Counter[str]:
    """How often each role was killed, `kills` together."""
    dice, killed = random.Random(seed), Counter[str]()
    while killed.total() < kills:
        time.sleep(dice.uniform(0, LONGEST_PAUSE_S))
        (role,) = dice.choices(list(ROLES), list(ROLES.values()))
        pids = server.pids().get(role)
        if not pids:
            continue  # dead already
        os.kill(pids[0], signal.SIGKILL)
        killed[role] += 1
        if role == "serve":
            assert server.process is not None
            server.process.wait(timeout=10)
            server.start()
    until(server.is_healthy, what="the server is back")
    return killed


def assert_all_arrived(server: RunningServer, run_id: str, steps: int) -> None:
    """Each point that was logged, in its place, none of them twice; the run has ended well."""
    until(lambda: get(server, f"/api/v1/runs/{run_id}")["status"] == "finished", what=f"{run_id} has ended")
    values = columns(server, run_id)["values"]
    assert columns(server, run_id)["steps"] == list(range(steps))
    assert values["loss"] == [step / 7 for step in range(steps)]
    summary = get(server, f"/api/v1/runs/{run_id}")["summary"]
    assert (summary["loss"]["count"], summary["loss"]["last"]) == (steps, (steps - 1) / 7)


def columns(server: RunningServer, run_id: str) -> dict[str, Any]:
    return get(server, f"/api/v1/runs/{run_id}/metrics?points={MOST_POINTS}&names=loss")
