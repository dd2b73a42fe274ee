"""Many deaths of a server that is being logged to: points read back are the points that were logged.

`python -m bench.kills` does the same a hundred times.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.killing import Load, assert_all_arrived, kill_at_random
from tests.serving import RunningServer

pytestmark = [pytest.mark.process, pytest.mark.alone, pytest.mark.timeout(300)]

KILLS = 25


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path / "home", env={"MLSERVER_CPU_SLOTS": "8"}) as running:
        yield running.start()


@pytest.fixture
def load(server: RunningServer, tmp_path: Path) -> Iterator[Load]:
    started = Load.start(server, tmp_path / "load")
    yield started
    started.kill()


def test_points_read_back_are_the_points_logged(server: RunningServer, load: Load) -> None:
    killed = kill_at_random(server, KILLS, seed=7)
    assert {"web", "agent", "serve"} <= set(killed)
    for run_id, steps in load.end(server).items():
        assert steps > 100
        assert_all_arrived(server, run_id, steps)
