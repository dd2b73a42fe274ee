"""Speed of the Runicorn API for bench.tracking, beside what its original server and MLflow took for the same.

Peers were measured on a 2-core machine with the same 10,000 runs; the floor is the least that anybody could take there:
the bytes of the answer from memory, or from the arrays that hold the points.
"""

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.wire import Wire
from tests.serving import KEY, REPOSITORY, RunningServer

RUNS = 10_000


@dataclass(frozen=True)
class Request:
    """One row of the table; all figures in ms. `before`: requests that leave nothing of this one in the cache."""

    name: str
    path: str
    goal: float
    runicorn: str = "-"
    mlflow: str = "-"
    floor: str = "-"
    before: Sequence[str] = ()


@dataclass(frozen=True)
class Measured:
    request: Request
    ms: float
    """Median; NaN when the server has no such row."""
    worst_ms: float
    size_bytes: int


def requests(run_id: str, logged: dict[str, str], others: Sequence[str]) -> list[Request]:
    """`run_id` any run; `logged` runs of 100,000 and 1,000,000 rows; reading `others` empties the cache of both."""
    small, large = logged["100k"], logged["1M"]
    empty = [f"/api/runs/{other}/metrics_step?downsample=100" for other in others]
    sampled = "/api/runs/{}/metrics_step?downsample=2000"
    listed = "/api/v2/experiments"
    chosen = "project=project%201&status=finished&order_by=best_metric_value"
    return [
        Request("R1, 10,000 runs", "/api/runs", 60, "830", "-", "24"),
        Request("R2, one run", f"/api/runs/{run_id}", 4, "131", "6"),
        Request("R40, projects", "/api/projects", 5, "129", "6"),
        Request("R18, 50 rows", f"{listed}?per_page=50", 5, "12.9", "33", "0.2"),
        Request("R18, 50 rows, filter and order", f"{listed}?per_page=50&{chosen}", 5, "4.6", "52", "0.2"),
        Request("R18, 1,000 rows", f"{listed}?per_page=1000", 15, "40.6", "584", "0.2"),
        Request("R8, 100k rows whole", f"/api/runs/{small}/metrics_step", 150, "469-850", "3,594 (one metric)", "34"),
        Request("R8, 100k, downsample 2000, cold", sampled.format(small), 20, "663-754", "244-370", "1", empty),
        Request("R8, 100k, downsample 2000, warm", sampled.format(small), 12, "272", "244-370", "1"),
        Request("R8, 1M x 3, downsample 2000, cold", sampled.format(large), 60, "5,054-5,586", "2,152", "3", empty),
        Request("R8, 1M x 3, downsample 2000, warm", sampled.format(large), 40, "1,110", "2,152", "3"),
        Request(
            "R20, 100k, downsample 1000", f"{listed}/{small}/metrics/fast?downsample=1000", 12, "1,506", "-", "1"
        ),
    ]  # fmt: skip


def fill_runs(server: RunningServer) -> None:
    command = [sys.executable, "-m", "bench.fill_runs", str(RUNS)]
    subprocess.run(command, cwd=REPOSITORY, env=server.env, check=True)


def any_run(wire: Wire) -> str:
    """One in the middle."""
    status, answer = wire.get("/api/runs")
    rows = json.loads(answer) if status == 200 else []
    return str(rows[len(rows) // 2]["id"]) if rows else "20260307_091502_4fe0b7"


def measured(wire: Wire, request: Request, times: int) -> Measured:
    taken, size_bytes = [], 0
    for _ in range(times + 1):
        for path in request.before:
            wire.get(path)
        started = time.perf_counter()
        status, answer = wire.get(request.path)
        taken.append((time.perf_counter() - started) * 1000)
        size_bytes = len(answer)
        if status != 200:
            return Measured(request, float("nan"), float("nan"), 0)
    return Measured(request, statistics.median(taken[1:]), max(taken[1:]), size_bytes)


def health_beside(server: RunningServer, path: str, request: Request, times: int) -> Measured:
    """`request` while another client asks for `path` all the time."""
    stop = threading.Event()
    other = threading.Thread(target=_ask_on, args=(Wire(server.port, KEY), path, stop.is_set))
    other.start()
    try:
        time.sleep(0.5)
        return measured(Wire(server.port, KEY), request, times)
    finally:
        stop.set()
        other.join()


def _ask_on(wire: Wire, path: str, is_over: Callable[[], bool]) -> None:
    while not is_over():
        wire.get(path)
