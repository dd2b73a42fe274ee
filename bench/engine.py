"""Speed and memory of the engine on this machine, as a table beside the peers' figures.

`make bench` or `python -m bench.engine [--quick]`. Starts a server of its own on a free loopback port and stops it.
The peers were measured on a 2-core machine; figures of this run are only fair on an otherwise idle one.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.memory import cpu_s, pss_mib, rss_mib
from bench.wire import Wire
from tests.serving import KEY, RunningServer
from tests.waiting import until

REPOSITORY = Path(__file__).resolve().parent.parent
PEERS = [
    ("FlowLine", "6,589 ms", "0.1", "55 MB"),
    ("Slurm 22.05", "2,124 ms (tuned 423)", "0.7-2.1", "20 MB"),
    ("Ray 2.60 Jobs", "820 ms", "1.5", "1,690 MB"),
    ("prototype of the design", "35 ms", "30", "168 MB"),
]

Row = tuple[str, str, str, bool]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="fewer repetitions")
    quick: bool = arguments.parse_args().quick
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        with RunningServer(Path(folder) / "home", env={"MLSERVER_CPU_SLOTS": "2"}) as server:
            server.start()
            rows += idle(server, seconds=5 if quick else 20)
            wire = Wire(server.port, KEY)
            rows += first_instruction(wire, Path(folder) / "home", times=20 if quick else 100)
            rows += supervisor(server, wire)
            rows += drain(wire, jobs=50 if quick else 200)
            server.stop()
            rows += full_house(server, quick=quick)
        rows += scheduling_pass(Path(folder) / "pass", 1000, 1, 50)
        rows += scheduling_pass(Path(folder) / "queues", 5000, 20, 100)
    show(rows)


def idle(server: RunningServer, *, seconds: float) -> list[Row]:
    """Nothing to do: memory of all processes together, and the part of one core they take."""
    time.sleep(3)
    pids = [pid for role in server.pids().values() for pid in role]
    before, started = cpu_s(pids), time.monotonic()
    time.sleep(seconds)
    share = (cpu_s(pids) - before) / (time.monotonic() - started) * 100
    for role, role_pids in sorted(server.pids().items()):
        print(f"  {role:10} {sum(map(pss_mib, role_pids)):6.1f} MiB PSS", file=sys.stderr)
    total = sum(map(pss_mib, pids))
    return [
        ("idle: PSS of all processes", f"{total:.0f} MiB", "<= 220 MB", total * 1.048576 <= 220),
        ("idle: CPU of one core", f"{share:.1f} %", "<= 2 %", share <= 2),
    ]


def first_instruction(wire: Wire, home: Path, *, times: int) -> list[Row]:
    """From before the POST until the command itself reads the clock; each on an idle server."""
    taken = []
    for _ in range(times):
        started = time.time()
        _, body = wire.post("/api/v1/tasks", {"command": ["/bin/date", "+%s.%N"], "name": "first"})
        task = json.loads(body)
        wait_until_ended(wire, task["id"])
        run = json.loads(wire.get(f"/api/v1/runs?task={task['id']}")[1])["results"][0]
        taken.append((float(Path(run["run_dir"], "logs.txt").read_text()) - started) * 1000)
        time.sleep(0.1)
    median, p95 = statistics.median(taken), statistics.quantiles(taken, n=20)[18]
    return [
        ("POST to first instruction, median", f"{median:.1f} ms", "<= 50 ms", median <= 50),
        ("POST to first instruction, p95", f"{p95:.1f} ms", "<= 80 ms", p95 <= 80),
    ]


def wait_until_ended(wire: Wire, task_id: int) -> None:
    def has_ended() -> bool:
        return json.loads(wire.get(f"/api/v1/tasks/{task_id}")[1])["status"] in ("completed", "failed", "stopped")

    until(has_ended, within_s=60)


def supervisor(server: RunningServer, wire: Wire) -> list[Row]:
    _, body = wire.post("/api/v1/tasks", {"command": ["sleep", "600"], "grace_s": 0})
    task_id = json.loads(body)["id"]
    query = f"/api/v1/processes?task={task_id}"
    until(lambda: (rows := json.loads(wire.get(query)[1])["results"]) and rows[0]["pid"])
    pid = json.loads(wire.get(query)[1])["results"][0]["supervisor_pid"]
    rss, pss = rss_mib(pid), pss_mib(pid)
    wire.post(f"/api/v1/tasks/{task_id}/stop", {})
    wait_until_ended(wire, task_id)
    return [
        ("supervisor: RSS", f"{rss:.1f} MiB", "<= 12 MB", rss * 1.048576 <= 12),
        ("supervisor: PSS", f"{pss:.1f} MiB", "<= 6 MB", pss * 1.048576 <= 6),
    ]


def drain(wire: Wire, *, jobs: int) -> list[Row]:
    """From before the first POST until the last of `jobs` x /bin/true has ended, on 2 slots."""
    started = time.monotonic()
    for _ in range(jobs):
        wire.post("/api/v1/tasks", {"command": ["/bin/true"], "name": "drain"})
    submitted = time.monotonic()
    until(lambda: all_ended(wire), within_s=300)
    ended = time.monotonic()
    rate = jobs / (ended - started)
    print(f"  {jobs} submissions took {submitted - started:.2f} s of {ended - started:.2f} s", file=sys.stderr)
    return [(f"{jobs} x /bin/true, 2 slots", f"{rate:.1f} jobs/s", ">= 25 jobs/s", rate >= 25)]


def all_ended(wire: Wire) -> bool:
    time.sleep(0.03)  # looking must not cost the server what is measured
    return all(not json.loads(wire.get(f"/api/v1/tasks?status={status}&page_size=1")[1])["results"] for status in ("waiting", "active"))  # fmt: skip  # noqa: E501


def full_house(server: RunningServer, *, quick: bool) -> list[Row]:
    """Reads on a database of 10,000 tasks and runs."""
    subprocess.run(
        [sys.executable, "-m", "bench.fill", "10000"], cwd=REPOSITORY, env=server.env, check=True, capture_output=True
    )
    server.start()
    wire = Wire(server.port, KEY)
    run_id = json.loads(wire.get("/api/v1/runs?page_size=1")[1])["results"][0]["id"]
    times = 200 if quick else 1000
    return [
        read("/health", wire, "/health", times, 1),
        read("N5 one run", wire, f"/api/v1/runs/{run_id}", times, 3),
        read("N2 50 tasks of 10,000", wire, "/api/v1/tasks", times, 5),
    ]


def read(name: str, wire: Wire, path: str, times: int, limit_ms: float) -> Row:
    taken = []
    for _ in range(times + 50):
        started = time.perf_counter()
        status, _ = wire.get(path)
        taken.append((time.perf_counter() - started) * 1000)
        assert status == 200, path
    median = statistics.median(taken[50:])
    return name, f"{median:.2f} ms", f"<= {limit_ms:g} ms", median <= limit_ms


def scheduling_pass(home: Path, count: int, queues: int, limit_ms: float) -> list[Row]:
    """One pass over waiting tasks, the first that writes all their reasons and the ones after it."""
    server = RunningServer(home, env={"MLSERVER_SIMULATED_GPUS": "2x24576"})
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=REPOSITORY, env=server.env, check=True)
    command = [sys.executable, "-m", "bench.passes", str(count), str(queues)]
    done = subprocess.run(command, cwd=REPOSITORY, env=server.env, check=True, capture_output=True, text=True)
    name = f"pass over {count:,} waiting" + (f" in {queues} queues" if queues > 1 else "")
    taken = zip(("first", "later"), map(float, done.stdout.split()), strict=True)
    return [(f"{name}, {which}", f"{ms:.1f} ms", f"<= {limit_ms:g} ms", ms <= limit_ms) for which, ms in taken]


def show(rows: list[Row]) -> None:
    console = Console(width=100)
    ours = Table("figure", "measured", "goal", "", title="mlserver")
    for name, measured, goal, holds in rows:
        ours.add_row(name, measured, goal, "holds" if holds else "MISSED")
    peers = Table("peer", "submit to first instruction", "jobs/s", "idle memory", title="peers on such a machine")
    for peer in PEERS:
        peers.add_row(*peer)
    console.print(ours, peers)


if __name__ == "__main__":
    main()
