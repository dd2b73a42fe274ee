"""What followers of logs and terminals cost the web process: memory, and time of everybody else's requests.

`python -m bench.streams [--followers N] [--terminals N]`. Starts a server of its own on a free loopback port. Half of
the followers take events (N9), half a WebSocket (R10); each log gets a line each second, each terminal types each two.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.memory import cpu_s, rss_mib
from bench.wire import Wire
from tests.serving import KEY, RunningServer
from tests.waiting import until

REPOSITORY = Path(__file__).resolve().parent.parent
RUNS = 5
ASKED = 500
GOAL_MB, GOAL_MS = 150, 5
LINES = "while :; do date; sleep 1; done"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--followers", type=int, default=500)
    arguments.add_argument("--terminals", type=int, default=50)
    asked = arguments.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        server = stack.enter_context(RunningServer(folder / "home", env={"MLSERVER_CPU_SLOTS": "16"}))
        measure(server.start(), asked.followers, asked.terminals)


def measure(server: RunningServer, followers: int, terminals: int) -> None:
    wire = Wire(server.port, KEY)
    runs = [started(wire) for _ in range(RUNS)]
    web = server.pid("web")
    health_ms(wire)
    before_mib, before_ms = rss_mib(web), health_ms(wire)
    began = time.monotonic()
    with listeners(server.port, runs, [invited(wire, runs[0]) for _ in range(terminals)], followers) as clients:
        assert clients.stdout is not None and clients.stdin is not None
        print(clients.stdout.readline().strip(), f"after {time.monotonic() - began:.1f} s", file=sys.stderr)
        during = []
        for pause_s in (1, 15, 0):
            time.sleep(pause_s)
            used_s, at = cpu_s([web]), time.monotonic()
            during.append(health_ms(wire))
            took_s = time.monotonic() - at
            print(f"/health {during[-1]:.2f} ms, web {(cpu_s([web]) - used_s) / took_s:.0%} of a core", file=sys.stderr)
        idle_s, at = cpu_s([web]), time.monotonic()
        time.sleep(5)
        share = (cpu_s([web]) - idle_s) / (time.monotonic() - at)
        cost_mb = (rss_mib(web) - before_mib) * 1.048576
        clients.stdin.close()
        assert clients.wait(30) == 0
    show(before_ms, statistics.median(during), cost_mb, share, f"{followers} followers, {terminals} terminals")


def started(wire: Wire) -> str:
    task = json.loads(wire.post("/api/v1/tasks", {"command": LINES})[1])["id"]
    path = f"/api/v1/runs?task={task}&status=running"
    run_id: str = until(lambda: json.loads(wire.get(path)[1])["results"], what="a run")[0]["id"]
    return run_id


def invited(wire: Wire, run_id: str) -> str:
    url: str = json.loads(wire.post(f"/api/v1/runs/{run_id}/terminal", {"handshake_s": 300})[1])["url"]
    return url


def listeners(port: int, runs: list[str], urls: list[str], followers: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "bench.listeners", str(port), ",".join(runs), ",".join(urls), str(followers)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def health_ms(wire: Wire) -> float:
    """Median of ASKED calls, one after the other."""
    taken = []
    for _ in range(ASKED):
        began = time.perf_counter()
        wire.get("/health")
        taken.append((time.perf_counter() - began) * 1000)
        time.sleep(0.002)
    return statistics.median(taken)


def show(before_ms: float, during_ms: float, cost_mb: float, share: float, title: str) -> None:
    rows = [
        ("median of /health without them", f"{before_ms:.2f} ms", "", True),
        ("median of /health with them", f"{during_ms:.2f} ms", f"<= +{GOAL_MS} ms", during_ms - before_ms <= GOAL_MS),
        ("memory of the web process", f"+{cost_mb:.0f} MB", f"<= +{GOAL_MB} MB", cost_mb <= GOAL_MB),
        ("CPU of the web process", f"{share:.0%} of a core", "", True),
    ]
    table = Table("figure", "measured", "goal", "", title=title)
    for name, measured, goal, holds in rows:
        table.add_row(name, measured, goal, ("holds" if holds else "MISSED") if goal else "")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
