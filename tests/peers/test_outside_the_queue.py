"""Unmodified scripts with the original library outside the queue: imported, followed, or in the server's own root."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.original import VERSION, run_script
from tests.peers.scripts import SHORT, TRAINING
from tests.peers.test_in_the_queue import rows_of
from tests.serving import RunningServer
from tests.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("outside") / "home", env={"RUNICORN_RATE_LIMIT": "off"}) as running:
        yield running.start()


def run_names(server: RunningServer, project: str) -> list[str]:
    rows = server.api.get("/api/v1/runs", params={"project": project}).json()["results"]
    return sorted(row["name"] for row in rows if row["status"] == "finished")


def test_the_package_is_the_original(tmp_path: Path) -> None:
    said = run_script("import importlib.metadata; print(importlib.metadata.version('runicorn'))").stdout
    assert said.strip() == VERSION


def test_a_script_that_writes_into_our_own_root_is_found(server: RunningServer) -> None:
    run_script(SHORT.replace("vision", "own"), RUNICORN_DIR=str(server.home / "runs"))
    until(lambda: run_names(server, "own") == ["first", "second"], within_s=30, what="its runs")


def test_a_root_is_followed_once_it_was_imported(server: RunningServer, tmp_path: Path) -> None:
    root, go = tmp_path / "root", tmp_path / "go"
    root.mkdir()
    assert server.manage("import_runicorn", str(root), "--follow").returncode == 0
    go.touch()
    run_script(TRAINING.replace("vision", "followed"), go, RUNICORN_DIR=str(root))
    until(lambda: run_names(server, "followed") == ["resnet"], within_s=30, what="its run")
    (row,) = server.api.get("/api/v1/runs", params={"project": "followed"}).json()["results"]
    until(lambda: len(rows_of(server, row["id"])) == 50, what="all its points")


def test_a_root_is_imported_with_all_its_runs_say(server: RunningServer, tmp_path: Path) -> None:
    root, go = tmp_path / "root", tmp_path / "go"
    go.touch()
    run_script(TRAINING.replace("vision", "imported"), go, RUNICORN_DIR=str(root))
    said = server.manage("import_runicorn", str(root))
    assert said.stdout.startswith("runs: 1 new, 0 updated, 0 unchanged, 0 refused; 199 points"), said
    (row,) = server.api.get("/api/v1/runs", params={"project": "imported"}).json()["results"]
    run = server.api.get(f"/api/v1/runs/{row['id']}").json()
    assert (run["status"], run["script_summary"]["best_metric_value"]) == ("finished", 0.5)
    rows = rows_of(server, row["id"])
    assert (len(rows), rows[-1]["stage"], rows[-1]["lr"]) == (50, "train", None)
    lines = server.api.get(f"/api/v1/runs/{row['id']}/logs", params={"tail": 10}).json()["lines"]
    assert [line["text"].split(" | ")[1] for line in lines] == ["warming up", "done"]
    again = server.manage("import_runicorn", str(root))
    assert again.stdout.startswith("runs: 0 new, 0 updated, 1 unchanged, 0 refused; 0 points"), again
