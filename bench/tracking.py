"""Speed of tracking on this machine, as tables beside the goals and the peers.

`python -m bench.tracking [--quick]`. Starts a server of its own with 10,000 runs on a free loopback port, without rate
limits, and stops it. All is asked on one keep-alive connection; rows marked "store" call what every door calls, without
HTTP. Figures are medians, and only fair on an otherwise idle machine. Cold: the server has nothing cached, the
operating system has the file. The SDK is measured by bench.sdk.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.engine import REPOSITORY, Row
from bench.memory import pss_mib, rss_mib
from bench.runicorn import Measured, Request, any_run, fill_runs, health_beside, measured, requests
from bench.wire import Wire
from tests.serving import KEY, RunningServer

POINTS_PER_BATCH = 1000
NAMES = ("loss", "accuracy", "learning_rate")
POINTS = 2000
# Rows of the run, and the goals in ms for sampled reads, cold and warm.
RUNS = {"100k": (100_000, 20, 12), "1M": (1_000_000, 60, 40)}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="fewer repetitions")
    quick: bool = arguments.parse_args().quick
    times = 5 if quick else 20
    unlimited = {"RUNICORN_RATE_LIMIT": "off"}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        RunningServer(Path(folder) / "home", env=unlimited) as server,
    ):
        server.start()
        fill_runs(server)
        runs = {name: points(server, "fill", str(count)) for name, (count, _, _) in RUNS.items()}
        # Two large runs do not fit into the cache together: what was read before both of them is read anew.
        others = [runs["1M"], points(server, "fill", str(RUNS["1M"][0]))]
        wire = Wire(server.port, KEY)
        rows = [ingestion(wire, names, batches=100 if quick else 500) for names in (NAMES[:1], NAMES)]
        found = asked(server, wire, runs, others, times=times)
        rows += reading(server, wire, runs, others, times=times)
        rows.append(memory(server.pid("web")))
    show_requests(found)
    show(rows)


def asked(
    server: RunningServer, wire: Wire, runs: dict[str, str], others: Sequence[str], *, times: int
) -> list[Measured]:
    found = [measured(wire, request, times) for request in requests(any_run(wire), runs, others)]
    whole = f"/api/runs/{runs['1M']}/metrics_step"
    beside_list = Request("/api/health, another client loops R1", "/api/health", 25, "798")
    beside_rows = Request("/api/health, another reads 1M rows whole", "/api/health", 25)
    found.append(health_beside(server, "/api/runs", beside_list, 10 * times))
    found.append(health_beside(server, whole, beside_rows, 10 * times))
    return found


def memory(web: int) -> Row:
    rss = rss_mib(web)
    said = f"{rss:.0f} MiB RSS, {pss_mib(web):.0f} MiB PSS"
    return "web process after all of it", said, "<= 250 MB RSS", rss * 1.048576 <= 250


def ingestion(wire: Wire, names: tuple[str, ...], *, batches: int) -> Row:
    """N7, one batch after the other; what the sender needs to write its JSON is not counted."""
    run_id = json.loads(wire.post("/api/v1/runs", {"project": "bench"})[1])["id"]
    count = POINTS_PER_BATCH // len(names)
    bodies = [json.dumps(batch(seq, count, names)).encode() for seq in range(batches)]
    started = time.perf_counter()
    for body in bodies:
        status, answer = wire.post(f"/api/v1/runs/{run_id}/metrics", body)
        assert status == 200, answer
    rate = batches * count * len(names) / (time.perf_counter() - started)
    return f"N7, {count} rows x {len(names)} a batch", f"{rate:,.0f} points/s", ">= 200,000", rate >= 200_000


def batch(seq: int, count: int, names: tuple[str, ...]) -> dict[str, object]:
    steps = list(range(seq * count, (seq + 1) * count))
    return {
        "seq": seq,
        "steps": steps,
        "times": [1.7e9 + step / 7 for step in steps],
        "values": {name: [1 / (step + at + 1) for step in steps] for at, name in enumerate(names)},
    }


def reading(server: RunningServer, wire: Wire, runs: dict[str, str], others: Sequence[str], *, times: int) -> list[Row]:
    rows = []
    for name, (_, cold_ms, warm_ms) in RUNS.items():
        figures = json.loads(points(server, "read", runs[name], str(times)))
        goals = {f"{POINTS} points, cold": cold_ms, f"{POINTS} points, warm": warm_ms}
        rows += [row(f"store, {name} rows x 3, {what}", ms, goals.get(what)) for what, ms in figures.items()]
        cold = chart_ms(wire, runs[name], times, before=others)
        rows.append(row(f"N11, {name} rows x 3, {POINTS} points, cold", cold, cold_ms))
        rows.append(row(f"N11, {name} rows x 3, {POINTS} points, warm", chart_ms(wire, runs[name], times), warm_ms))
    return rows


def points(server: RunningServer, *arguments: str) -> str:
    command = [sys.executable, "-m", "bench.points", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, env=server.env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def chart_ms(wire: Wire, run_id: str, times: int, *, before: Sequence[str] = ()) -> float:
    """Median of the calls but the first; the runs `before` are read before each."""
    taken = []
    for _ in range(times + 1):
        for other in before:
            wire.get(f"/api/v1/runs/{other}/metrics?points=2")
        started = time.perf_counter()
        status, _ = wire.get(f"/api/v1/runs/{run_id}/metrics?points={POINTS}")
        taken.append((time.perf_counter() - started) * 1000)
        assert status == 200
    return statistics.median(taken[1:])


def row(name: str, ms: float, goal_ms: float | None) -> Row:
    return name, f"{ms:.1f} ms", f"<= {goal_ms} ms" if goal_ms else "", goal_ms is None or ms <= goal_ms


def show_requests(found: list[Measured]) -> None:
    table = Table("request / ms", "Runicorn 0.5.3", "MLflow 3.17", "floor", "goal", "median", "worst", "bytes", "")
    for it in found:
        ask = it.request
        holds = "not there" if it.ms != it.ms else "holds" if it.ms <= ask.goal else "MISSED"
        table.add_row(
            ask.name, ask.runicorn, ask.mlflow, ask.floor, f"<= {ask.goal:g}", f"{it.ms:.1f}", f"{it.worst_ms:.1f}",
            f"{it.size_bytes:,}", holds,
        )  # fmt: skip
    Console(width=140).print(table)


def show(rows: list[Row]) -> None:
    table = Table("figure", "measured", "goal", "", title="metrics")
    for name, figure, goal, holds in rows:
        table.add_row(name, figure, goal, ("holds" if holds else "MISSED") if goal else "")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
