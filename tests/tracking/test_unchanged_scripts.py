"""A script that knows nothing of the server, through the queue: read over HTTP while it runs, and after."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.counting import ended_task, get, runs_of, submit
from tests.serving import RunningServer
from tests.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

# It prints, and writes event files into the run's directory from a directory of its own. It goes on until it is told.
SCRIPT = """
import json, os, sys, time
from tensorboardX import SummaryWriter

run_dir = os.environ["MLSERVER_RUN_DIR"]
writers = {name: SummaryWriter(os.path.join(run_dir, "runs", "Nov28_11-22-33_host", name)) for name in ("train", "val")}
print("starting")
step = 0
while not os.path.exists(os.path.join(run_dir, "enough")):
    step += 1
    print(json.dumps({"step": step, "throughput": step * 2.0}), flush=True)
    for name, writer in writers.items():
        writer.add_scalar("loss", 1 / step, step)
        writer.add_scalar("acc", step / 1000, step)
        writer.flush()
    time.sleep(0.05)
with open(os.path.join(run_dir, "result.jsonl"), "w") as file:
    file.write(json.dumps({"final": {"accuracy": 0.9}}))
for writer in writers.values():
    writer.add_scalar("loss", 0.125, step + 1)
    writer.close()
print(json.dumps({"step": step + 1, "throughput": 0.5}), end="")
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    env: dict[str, str | None] = {"MLSERVER_SIMULATED_GPUS": "1x24576", "MLSERVER_SYSTEM_METRICS_S": "1"}
    with RunningServer(tmp_path / "home", env=env) as running:
        yield running.start()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A repository with the script, which was changed since the last commit."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text("# first\n")
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(code), *who, *command], check=True)
    (code / "train.py").write_text(SCRIPT)
    return code


def values_of(server: RunningServer, run_id: str, query: str = "") -> dict[str, Any]:
    """Numbers by name, without rows that do not have it."""
    said = get(server, f"/api/v1/runs/{run_id}/metrics?points=50000{query}")
    return {name: [it for it in column if it is not None] for name, column in said["values"].items()}


def environment_of(server: RunningServer, run_id: str) -> Any:
    answer = server.api.get(f"/api/v1/runs/{run_id}/environment")
    return answer.json() if answer.status_code == 200 else None


def test_its_metrics_resources_and_environment_are_there_live_and_after(server: RunningServer, code: Path) -> None:
    task = submit(server, f"{sys.executable} train.py --lr 0.1; true", cwd=str(code), gpus=1)
    run = runs_of(server, task["id"])[0]
    run_id, run_dir = run["id"], Path(run["run_dir"])
    names = {"throughput", "train/loss", "train/acc", "val/loss", "val/acc"}
    until(lambda: values_of(server, run_id).keys() >= names, within_s=30, what="all names are seen while it runs")
    facts = until(lambda: environment_of(server, run_id), within_s=30, what="the environment is there while it runs")
    until(lambda: len(values_of(server, run_id, "&system=1").get("system/memory_mib", [])) > 2, within_s=20)
    server.kill9("agent")
    until(server.is_healthy)
    (run_dir / "enough").touch()
    ended_task(server, task["id"])

    values, shown = values_of(server, run_id), get(server, f"/api/v1/runs/{run_id}")
    assert values.keys() == names | {"final/accuracy"}
    steps = len(values["throughput"])
    assert values["throughput"] == [step * 2.0 for step in range(1, steps)] + [0.5]
    for name in ("train/loss", "val/loss"):
        assert values[name][:-1] == pytest.approx([1 / step for step in range(1, steps)])
        assert values[name][-1] == 0.125
        assert shown["summary"][name]["count"] == steps, "none was taken twice"

    assert facts["command"]["argv"][1:] == ["train.py", "--lr", "0.1"]
    assert facts["git"]["is_dirty"] and "SummaryWriter" in facts["git"]["diff"]
    assert "tensorboardX" in facts["packages"]
    assert facts["leased_gpus"][0]["uuid"] == "GPU-simulated-0"

    used = values_of(server, run_id, "&system=1")
    assert max(used["system/memory_mib"]) > 10 and max(used["system/processes"]) >= 2
    assert used["system/gpu/0/power_w"][0] == 50.0
    assert 0 < shown["energy_wh"] < 5
