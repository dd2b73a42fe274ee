"""Unmodified scripts with the original library in queued tasks: their run is the task's run, live and after."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers.original import environment
from tests.peers.scripts import SHORT, TRAINING
from tests.serving import RunningServer
from tests.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("queue") / "home", env={"RUNICORN_RATE_LIMIT": "off"}) as running:
        yield running.start()


def submitted(server: RunningServer, source: str, *arguments: str) -> int:
    env = {name: value for name, value in environment().items() if name != "TMPDIR"}
    body = {"command": [sys.executable, "-c", source, *arguments], "env": env, "project": "queued", "name": "task"}
    answer = server.api.post("/api/v1/tasks", json=body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def run_of(server: RunningServer, task_id: int) -> dict[str, Any]:
    runs = server.api.get("/api/v1/runs", params={"task": task_id}).json()["results"]
    assert len(runs) <= 1, runs
    return runs[0] if runs else {}


def ended(server: RunningServer, task_id: int) -> dict[str, Any]:
    until(lambda: run_of(server, task_id).get("ended_at"), within_s=60, what=f"task {task_id} ended; {server.output}")
    run = run_of(server, task_id)
    assert run["status"] == "finished", run
    return run


def rows_of(server: RunningServer, run_id: str) -> list[dict[str, Any]]:
    answer = server.api.get(f"/api/runs/{run_id}/metrics_step")
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]  # type: ignore[no-any-return]


def log_of(server: RunningServer, run_id: str) -> list[str]:
    lines = server.api.get(f"/api/v1/runs/{run_id}/logs", params={"tail": 100}).json()["lines"]
    return [line["text"] for line in lines]


def test_it_is_read_while_it_trains_and_after(server: RunningServer, tmp_path: Path) -> None:
    go = tmp_path / "go"
    task_id = submitted(server, TRAINING, str(go))
    until(lambda: run_of(server, task_id), what="a run")
    run_id = run_of(server, task_id)["id"]
    until(lambda: rows_of(server, run_id), within_s=30, what=f"the first metrics; {server.output}")
    (first,) = rows_of(server, run_id)
    assert (first["global_step"], first["loss"], first["acc"], first["stage"]) == (1, 2.0, 0.1, "warmup")
    until(lambda: any("warming up" in line for line in log_of(server, run_id)), what="the text log, live")
    assert run_of(server, task_id)["status"] == "running"
    own_id = next(line for line in log_of(server, run_id) if line.startswith("printed ")).split()[1]
    assert rows_of(server, own_id) == [first], "its own id leads to the run, too"

    go.touch()
    run = ended(server, task_id)
    rows = rows_of(server, run_id)
    assert [row["global_step"] for row in rows] == list(range(1, 51))
    assert (rows[-1]["loss"], rows[-1]["acc"], rows[-1]["lr"]) == (0.04, 0.5, None)
    assert log_of(server, run_id)[-1].endswith("| done")
    assert sum("warming up" in line for line in log_of(server, run_id)) == 1
    summary = server.api.get(f"/api/v1/runs/{run_id}").json()["script_summary"]
    assert (summary["notes"], summary["best_metric_name"], summary["best_metric_value"]) == ("as expected", "acc", 0.5)
    (picture,) = (Path(run["run_dir"]) / "media").iterdir()
    assert picture.name.endswith("_sample.png") and picture.read_bytes().startswith(b"\x89PNG")
    listed = server.api.get("/api/v1/runs", params={"project": "vision"}).json()["results"]
    assert listed == [], "no run beside the task's"


def test_short_scripts_and_several_runs_of_one_are_adopted(server: RunningServer) -> None:
    task_id = submitted(server, SHORT)
    run = ended(server, task_id)
    rows = rows_of(server, run["id"])
    assert [(row["global_step"], row["loss"]) for row in rows] == [(1, 0.5), (2, 0.5)]
    events = server.api.get("/api/v1/events", params={"run": run["id"]}).json()["results"]
    assert sum(event["reason"] == "Adopted" for event in events) == 2


def test_nothing_is_lost_or_doubled_when_the_server_is_killed_meanwhile(server: RunningServer, tmp_path: Path) -> None:
    go = tmp_path / "go"
    task_id = submitted(server, TRAINING, str(go))
    until(lambda: run_of(server, task_id), what="a run")
    run_id = run_of(server, task_id)["id"]
    until(lambda: rows_of(server, run_id), within_s=30, what="the first metrics")
    server.kill9("serve")
    go.touch()
    server.start()
    ended(server, task_id)
    series = server.api.get(f"/api/v1/runs/{run_id}").json()["summary"]
    assert series["loss"]["count"] == 50, series
    assert sum("warming up" in line for line in log_of(server, run_id)) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may switch accounts")
def test_the_account_of_jobs_can_write_there() -> None:
    """With the Python of the system: that of the tests may lie where other accounts have no business."""
    import filelock

    folder = Path(tempfile.mkdtemp(prefix="mlserver-peer-user-"))
    folder.chmod(0o755)
    shutil.copytree(environment()["PYTHONPATH"], folder / "peers")
    shutil.copytree(Path(filelock.__file__).parent, folder / "peers" / "filelock")
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder / "peers")}
    if subprocess.run(["python3", "-c", "import runicorn"], env=env, capture_output=True).returncode:
        pytest.skip("the system has no Python that can import the library")
    with RunningServer(folder / "home", env={"MLSERVER_JOB_USER": "nobody", "RUNICORN_RATE_LIMIT": "off"}) as server:
        server.start()
        answer = server.api.post("/api/v1/tasks", json={"command": ["python3", "-c", SHORT], "env": env})
        run = ended(server, int(answer.json()["id"]))
        assert [row["global_step"] for row in rows_of(server, run["id"])] == [1, 2]
    shutil.rmtree(folder, ignore_errors=True)
