"""Calls of `log({3 floats})` a second, one write each, beside the bare write of the same bytes.

`python -m bench.sdk [--quick]`. Writes to a temporary directory; the last row's server is that of the tests.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.clients.server import TrackingServer

REPOSITORY = Path(__file__).resolve().parent.parent
CLIENT = REPOSITORY / "clients" / "python"
GOAL = 100_000
PEERS = "Runicorn 0.5.3 9,400, trackio 41,000"
TURNS = 5


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="fewer calls")
    arguments.add_argument("--measure", choices=list(MEASURES), help=argparse.SUPPRESS)
    arguments.add_argument("--calls", type=int, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.measure:
        print(*rates(given.measure, given.calls))
        return
    calls = 20_000 if given.quick else 200_000
    table = Table(
        "measured", "median calls/s", "lowest - highest", "goal", title="SDK: log({3 floats}), one write a call"
    )
    for name, (what, goal) in MEASURES.items():
        found = measured_alone(name, calls)
        median = statistics.median(found)
        said = f"{goal:,}: {'reached' if median >= goal else 'MISSED'}" if goal else ""
        table.add_row(what, f"{median:,.0f}", f"{min(found):,.0f} - {max(found):,.0f}", said)
    Console().print(table)
    print(f"measured before on a 2-core machine: {PEERS}")


MEASURES = {
    "floor": ("bare os.write of the same bytes", 0),
    "run": ("run.log", GOAL),
    "module": ("rn.log", GOAL),
    "primary": ("run.log with a primary metric", GOAL),
    "away": ("run.log, delivery to a server that is away", GOAL),
    "sending": ("run.log, delivery to a server that answers", 0),
}


def measured_alone(name: str, calls: int) -> list[float]:
    """In a process of its own, as a training is; calls/s of each turn."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CLIENT), "MLSERVER_FLUSH_S": "0", "HOME": os.environ["HOME"]}
    with tempfile.TemporaryDirectory(prefix="bench-sdk-") as folder, TrackingServer() as server:
        env |= {"RUNICORN_DIR": folder, **(server.env if name == "sending" else {})}
        if name == "away":
            env |= {"MLSERVER_URL": "http://127.0.0.1:9", "MLSERVER_API_KEY": "none"}
        command = [sys.executable, "-m", "bench.sdk", "--measure", name, "--calls", str(calls)]
        done = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return [float(rate) for rate in done.stdout.split()]


def rates(name: str, calls: int) -> list[float]:
    call = prepared(name)
    data = {"loss": 0.123456789012, "accuracy": 0.987654321, "learning_rate": 0.001234567}
    call(data)
    found = []
    for _ in range(TURNS):
        begun = time.perf_counter()
        for _ in range(calls):
            call(data)
        found.append(calls / (time.perf_counter() - begun))
    return found


def prepared(name: str) -> Callable[[dict[str, float]], object]:
    """What is called."""
    import mlserver_client as rn
    from mlserver_client.lines import metrics_line

    run = rn.init(capture_env=False)
    if name == "primary":
        run.set_primary_metric("loss", "min")
    if name == "floor":
        descriptor = os.open(run.run_dir / "floor", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        line = metrics_line({"loss": 0.123456789012, "accuracy": 0.987654321, "lr": 0.001234567}, 1, time.time())
        content = line.encode()
        return lambda data: os.write(descriptor, content)
    return rn.log if name == "module" else run.log


if __name__ == "__main__":
    main()
