"""The SDK and the real server together: what a script says is what the server answers, whoever is killed."""

import signal
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.clients.scripts import CLIENT, ended, run_client, run_dir, run_script, said, start
from tests.faults.counting import ended_task, runs_of, submit
from tests.pictures import picture
from tests.serving import RunningServer
from tests.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

PICTURE = f"picture = {picture()!r}\n"
TALKATIVE = """
run = rn.init(capture_env=False)
for n in range(3000):
    rn.log(n=n)
    rn.log_text(f"line {n}")
    if n % 300 == 0:
        rn.log_image(f"at{n}", picture, step=n)
    time.sleep(0.003)
"""
LIVENESS = "from training.execution.liveness import check_outside_runs; print(check_outside_runs())"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("sdk") / "home") as running:
        yield running.start()


def env(box: RunningServer) -> dict[str, str]:
    return {"MLSERVER_URL": box.url, "MLSERVER_API_KEY": box.key}


def get(box: RunningServer, run_id: str, noun: str = "") -> Any:
    answer = box.api.get(f"/api/v1/runs/{run_id}{noun}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def values(box: RunningServer, run_id: str, name: str) -> list[Any]:
    found: list[Any] = get(box, run_id, f"/metrics?names={name}&points=50000")["values"][name]
    return found


def log_of(box: RunningServer, run_id: str) -> str:
    return str(box.api.get(f"/api/v1/runs/{run_id}/logs?tail=10000&format=text").text)


def test_everything_a_script_says_outside_the_queue_arrives(box: RunningServer, tmp_path: Path) -> None:
    status, _, err = run_script(
        tmp_path,
        PICTURE
        + """
run = rn.init(project="digits", name="first")
run.set_primary_metric("accuracy")
for n in range(200):
    rn.log({"n": n, "accuracy": n / 200, "phase": "warm" if n < 5 else "hot"}, stage="train")
rn.log(bad=float("nan"))
rn.log_text("hello ü")
for n in range(3):
    rn.log_image("cat", picture, step=n, caption="a cat")
rn.log_image("large", picture + bytes(5_000_000))
rn.summary({"score": float("inf"), "layers": [{"size": 10}]})
rn.finish()
        """,
        env=env(box),
    )
    assert (status, err) == (0, "")
    directory = run_dir(tmp_path)
    meta = said(directory, "meta.json")
    shown = get(box, meta["id"])
    assert (shown["status"], shown["project"], shown["name"]) == ("finished", "digits", "first")
    assert shown["host"] == meta["hostname"]
    assert shown["script_summary"]["layers"] == [{"size": 10}]
    assert shown["script_summary"]["score"] is None
    assert (shown["best_metric_name"], shown["best_metric_value"], shown["best_metric_step"]) == (
        "accuracy",
        0.995,
        200,
    )
    assert values(box, meta["id"], "n") == list(range(200))
    assert log_of(box, meta["id"]).endswith("| hello ü\n")
    pictures = get(box, meta["id"], "/media")["results"]
    large, *cats = pictures
    assert [(row["key"], row["step"], row["type"]) for row in cats] == [("cat", n, "image/png") for n in (2, 1, 0)]
    assert box.api.get(cats[0]["url"]).content == picture()
    assert box.api.get(large["url"]).content == picture() + bytes(5_000_000)
    assert get(box, meta["id"], "/environment")["packages"]["pytest"]
    assert abs(float(meta["created_at"]) - epoch_s(shown["started_at"])) < 0.001
    status, out, _ = run_client(tmp_path, "sync", ".", env=env(box))
    assert (status, out) == (0, f"{meta['id']}: delivered\n")
    assert len(get(box, meta["id"], "/media")["results"]) == 4


def epoch_s(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


def test_a_run_made_while_the_server_was_away_shows_its_own_times(box: RunningServer, tmp_path: Path) -> None:
    nobody = {"MLSERVER_URL": "http://127.0.0.1:9", "MLSERVER_API_KEY": "k", "MLSERVER_FLUSH_S": "0"}
    run_script(
        tmp_path, "rn.init(capture_env=False)\nrn.log(n=1)\nrn.log_text('away')\nrn.finish('failed')", env=nobody
    )
    run_id = run_dir(tmp_path).name
    time.sleep(1.1)
    assert run_client(tmp_path, "sync", ".", env=env(box))[0] == 0
    shown = get(box, run_id)
    ended_at = said(run_dir(tmp_path), "status.json")["ended_at"]
    assert (shown["status"], abs(epoch_s(shown["ended_at"]) - ended_at) < 0.001) == ("failed", True)
    assert shown["duration_s"] < 1
    assert log_of(box, run_id).endswith("| away\n")


def test_nothing_is_lost_or_doubled_while_the_server_is_killed(box: RunningServer, tmp_path: Path) -> None:
    script = start(tmp_path, PICTURE + TALKATIVE, env=env(box) | {"MLSERVER_FLUSH_S": "60"})
    run_id = until(lambda: [path.parent.name for path in tmp_path.glob("**/runs/*/meta.json")])[0]
    for _ in range(4):
        time.sleep(1)
        box.kill9("web")
        until(box.is_healthy, within_s=20)
    status, _, err = ended(script)
    assert (status, err) == (0, "")
    assert values(box, run_id, "n") == list(range(3000))
    lines = log_of(box, run_id).splitlines()
    assert [line.rpartition(" | ")[2] for line in lines] == [f"line {n}" for n in range(3000)]
    pictures = get(box, run_id, "/media")["results"]
    assert sorted(row["key"] for row in pictures) == sorted(f"at{n}" for n in range(0, 3000, 300))
    assert get(box, run_id)["status"] == "finished"


def test_a_killed_script_is_noticed_and_may_go_on(box: RunningServer, tmp_path: Path) -> None:
    script = """
    run = rn.init(run_id="20260102_030405_0a1b2c", capture_env=False)
    base = int(sys.argv[1])
    for n in range(base, base + 50):
        run.log(n=n)
        run.log_text(f"line {n}")
    os.write(1, b"logged")
    sys.stdin.read() if base == 0 else run.finish()
    """
    run_id = "20260102_030405_0a1b2c"
    first = start(tmp_path, script.replace("sys.stdin.read()", "time.sleep(600)"), "0", env=env(box))
    until(lambda: box.api.get(f"/api/v1/runs/{run_id}").status_code == 200, what="it is known")
    until(lambda: "line 49" in log_of(box, run_id), what="its text came")
    assert get(box, run_id)["status"] == "running"
    first.send_signal(signal.SIGKILL)
    ended(first)
    assert box.manage("shell", "-c", LIVENESS).stdout.strip().endswith("(1, 1)")
    shown = get(box, run_id)
    assert (shown["status"], shown["exit_class"], shown["exit_reason"]) == ("failed", "killed", "process_not_found")
    assert ended(start(tmp_path, script, "50", env=env(box)))[0] == 0
    shown = get(box, run_id)
    assert (shown["status"], shown["exit_class"]) == ("finished", "ok")
    assert values(box, run_id, "n") == list(range(100))
    assert log_of(box, run_id).count("line") == 100


def test_a_followed_log_shows_text_as_it_comes_and_its_end(box: RunningServer, tmp_path: Path) -> None:
    script = """
    run = rn.init(run_id="20260102_030405_0f0f0f", capture_env=False)
    run.log_text("first")
    while not os.path.exists("enough"):
        time.sleep(0.05)
    run.log_text("last")
    run.finish()
    """
    process = start(tmp_path, script, env=env(box))
    path = "/api/v1/runs/20260102_030405_0f0f0f"
    until(lambda: "first" in box.api.get(f"{path}/logs?format=text").text, what="its text came")
    with box.api.stream("GET", f"{path}/logs?follow=1") as answer:
        seen = ""
        for piece in answer.iter_text():
            seen += piece
            if "first" in seen:
                (tmp_path / "enough").touch()
            if "event: end" in seen:
                break
    assert seen.index("first") < seen.index("last") < seen.index("event: end")
    assert "finished" in seen[seen.index("event: end") :]
    assert ended(process)[0] == 0


def test_a_task_of_the_queue_needs_nothing_installed(box: RunningServer) -> None:
    code = f"""
import sys
import mlserver_client as rn
{PICTURE}
run = rn.init(project="ignored")
run.set_primary_metric("accuracy")
for n in range(50):
    rn.log(n=n, accuracy=n / 50)
rn.log_text("said")
rn.log_image("cat", picture, step=7)
rn.summary({{"kind": "cnn", "score": float("nan")}})
print("file", rn.__file__)
try:
    raise ValueError("no such layer")
except ValueError as error:
    rn.get_active_run().finish("failed", reason=repr(error))
sys.exit(3)
"""
    task = submit(box, [sys.executable, "-c", code])
    ended_task(box, task["id"])
    run = runs_of(box, task["id"])[0]
    shown = get(box, run["id"])
    assert (shown["status"], shown["exit_code"]) == ("failed", 3)
    assert shown["exit_reason"] == "exit code 3; its script said: ValueError('no such layer')"
    assert (shown["script_summary"]["kind"], shown["script_summary"]["score"]) == ("cnn", None)
    assert (shown["best_metric_name"], shown["best_metric_value"]) == ("accuracy", 0.98)
    assert values(box, run["id"], "n") == list(range(50))
    (cat,) = get(box, run["id"], "/media")["results"]
    assert (cat["key"], cat["step"], box.api.get(cat["url"]).content) == ("cat", 7, picture())
    assert "| said" in log_of(box, run["id"])
    assert str(CLIENT) not in log_of(box, run["id"])
