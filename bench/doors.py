"""Speed of the FlowLine and Jobs APIs on this machine, beside the goals.

`python -m bench.doors [--quick]`. Starts a server of its own with two simulated GPUs and 10,000 tasks on a free
loopback port, and stops it. Medians over one keep-alive connection, only fair on an otherwise idle machine.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.engine import REPOSITORY, Row, show
from bench.wire import Wire
from tests.serving import KEY, RunningServer

TASKS = 10_000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="fewer repetitions")
    times = 20 if arguments.parse_args().quick else 200
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        RunningServer(Path(folder) / "home", env={"MLSERVER_SIMULATED_GPUS": "2x24576"}) as server,
    ):
        server.start()
        command = [sys.executable, "-m", "bench.fill", str(TASKS)]
        subprocess.run(command, cwd=REPOSITORY, env=server.env, check=True)
        wire = Wire(server.port, KEY)
        time.sleep(6)  # until the agent has sampled all
        rows = [
            row("F1, GPUs", lambda: wire.get("/api/gpus"), times, 5),
            row("F4, processes", lambda: wire.get("/api/process"), times, 5),
            row(f"J1, 10 of {TASKS:,} tasks", lambda: wire.post("/api/jobs", {}), times, 8),
            row("J1, filtered by status", lambda: wire.post("/api/jobs", {"status": "Running"}), times, 8),
            row("J1, page 500", lambda: wire.post("/api/jobs", {"pageNumber": 500}), times, 8),
        ]
    show(rows)


def row(name: str, ask: Callable[[], tuple[int, bytes]], times: int, goal_ms: float) -> Row:
    taken = []
    for _ in range(times + 5):
        started = time.perf_counter()
        status, _ = ask()
        taken.append((time.perf_counter() - started) * 1000)
        assert status == 200, (name, status)
    median = statistics.median(taken[5:])
    return name, f"{median:.2f} ms", f"<= {goal_ms:g} ms", median <= goal_ms


if __name__ == "__main__":
    main()
