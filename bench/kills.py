"""A server that is killed again and again while jobs and senders log to it: is every point there, and none twice?

`python -m bench.kills [--kills 100] [--seed 1]`. Starts a server of its own on a free loopback port and stops it.
"""

import argparse
import tempfile
import time
from pathlib import Path

from tests.faults.killing import Load, assert_all_arrived, kill_at_random
from tests.serving import RunningServer


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--kills", type=int, default=100)
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        RunningServer(Path(folder) / "home", env={"MLSERVER_CPU_SLOTS": "8"}) as server,
    ):
        load = Load.start(server.start(), Path(folder) / "load")
        try:
            print(verdict(server, load, asked.kills, asked.seed))
        finally:
            load.kill()


def verdict(server: RunningServer, load: Load, kills: int, seed: int) -> str:
    started = time.monotonic()
    killed = kill_at_random(server, kills, seed)
    took_s = time.monotonic() - started
    logged = load.end(server)
    for run_id, steps in logged.items():
        assert_all_arrived(server, run_id, steps)
    roles = ", ".join(f"{role} {count}" for role, count in killed.most_common())
    return f"{kills} kills in {took_s:.0f} s ({roles}): {sum(logged.values())} points in {len(logged)} runs, each once"


if __name__ == "__main__":
    main()
