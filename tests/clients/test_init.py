"""rn.init: where a run begins, and which run it is."""

import json
import re
from pathlib import Path

import mlserver_client as rn
import pytest
from mlserver_client.files import read_json

from tests.clients.scripts import records

RUN_ID = "20260102_030405_0a1b2c"


def test_it_makes_a_run_below_the_storage_root(tmp_path: Path) -> None:
    run = rn.init(project="digits", name="first", storage=tmp_path / "root", capture_env=False)
    assert re.fullmatch(r"\d{8}_\d{6}_[0-9a-f]{6}", run.id)
    assert (run.project, run.name, run.storage_root) == ("digits", "first", tmp_path / "root")
    assert run.run_dir == tmp_path / "root" / "digits" / "first" / "runs" / run.id
    assert run.media_dir == run.run_dir / "media"
    assert rn.get_active_run() is run


def test_it_calls_project_and_name_default(tmp_path: Path) -> None:
    run = rn.init(capture_env=False)
    assert (run.project, run.name, run.storage_root) == ("default", "default", tmp_path / ".runicorn")


def test_it_looks_for_the_root_in_the_documented_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config" / "runicorn" / "config.json"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"user_root_dir": str(tmp_path / "configured")}))
    assert rn.init(capture_env=False).storage_root == tmp_path / "configured"
    monkeypatch.setenv("RUNICORN_DIR", str(tmp_path / "variable"))
    assert rn.init(capture_env=False).storage_root == tmp_path / "variable"
    assert rn.init(storage=str(tmp_path / "given"), capture_env=False).storage_root == tmp_path / "given"


def test_it_takes_a_run_id(tmp_path: Path) -> None:
    assert rn.init(run_id=RUN_ID, capture_env=False).id == RUN_ID


@pytest.mark.parametrize("run_id", ["", "7", RUN_ID.upper(), RUN_ID + "\n", "../" + RUN_ID])
def test_it_refuses_another_form_of_id(run_id: str) -> None:
    with pytest.raises(ValueError, match="YYYYMMDD_HHMMSS"):
        rn.init(run_id=run_id)
    assert rn.get_active_run() is None


@pytest.mark.parametrize("name", ["a/b", "..", "a\\b", "n" * 101, "runs", 7])
def test_it_refuses_names_that_are_no_directory(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="project"):
        rn.init(project=name)
    with pytest.raises(ValueError, match="name"):
        rn.init(name=name)
    assert not (tmp_path / ".runicorn").exists()


def test_it_refuses_an_address_that_is_none() -> None:
    with pytest.raises(ValueError, match="http://host:port"):
        rn.init(server="box:8000", api_key="k")


def test_it_takes_up_a_run_again(tmp_path: Path) -> None:
    first = rn.init(run_id=RUN_ID, capture_env=False)
    first.log(loss=1.0)
    first.finish()
    begun_at = read_json(first.run_dir / "meta.json")["created_at"]
    again = rn.init(run_id=RUN_ID, capture_env=False)
    again.log(loss=0.5)
    assert len((again.run_dir / "events.jsonl").read_text().splitlines()) == 2
    assert read_json(again.run_dir / "status.json")["status"] == "running"
    assert read_json(again.run_dir / "meta.json")["created_at"] == begun_at


def test_ended_runs_keep_no_files_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        run = rn.init(capture_env=False)
        run.log(loss=1.0)
        run.finish()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
    assert len(list(tmp_path.glob(".runicorn/default/default/runs/*/events.jsonl"))) == 20


@pytest.fixture
def task_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As the server prepares it for a queued task."""
    root = tmp_path / "home" / "runs"
    directory = root / "vision" / "my%2Frun" / "runs" / RUN_ID
    directory.mkdir(parents=True)
    monkeypatch.setenv("MLSERVER_RUN_ID", RUN_ID)
    monkeypatch.setenv("MLSERVER_RUN_DIR", str(directory))
    monkeypatch.setenv("RUNICORN_DIR", str(directory / ".runicorn"))
    return directory


def test_it_joins_the_run_of_its_task(task_dir: Path) -> None:
    run = rn.init(project="other", name="else", capture_env=False)
    assert (run.id, run.project, run.name, run.run_dir) == (RUN_ID, "vision", "my/run", task_dir)
    assert run.storage_root == task_dir.parents[3]
    run.log(loss=1.0)
    assert json.loads((task_dir / "events.jsonl").read_text())["data"]["loss"] == 1.0


def test_it_leaves_the_log_of_a_task_to_its_supervisor(task_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rn.init(capture_env=False).log_text("hello")
    assert re.fullmatch(r"\d\d:\d\d:\d\d \| hello\n", capfd.readouterr().out)
    assert not (task_dir / "logs.txt").exists()


def test_it_delivers_nothing_from_a_task(task_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSERVER_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MLSERVER_API_KEY", "k")
    run = rn.init(capture_env=False)
    run.log(loss=1.0)
    assert run._sender is None


def test_only_the_first_rank_describes_the_run(task_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    run = rn.init()
    run.log(loss=1.0)
    run.finish()
    assert sorted(path.name for path in task_dir.iterdir()) == ["events.jsonl"]


def test_a_task_goes_on_when_its_directory_is_gone(task_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    task_dir.rmdir()
    run = rn.init(capture_env=False)
    run.log(loss=1.0)
    run.finish()
    assert "cannot be written" in caplog.text


def test_functions_of_the_module_act_on_the_active_run() -> None:
    run = rn.init(capture_env=False)
    rn.log({"loss": 1.0})
    rn.log(loss=0.5, step=7)
    rn.log_text("hello")
    rn.set_primary_metric("loss", "min")
    rn.summary({"note": "x"})
    assert rn.log_image("k", b"bytes") is not None
    rn.finish()
    assert len((run.run_dir / "events.jsonl").read_text().splitlines()) == 3
    assert read_json(run.run_dir / "summary.json")["note"] == "x"
    assert rn.get_active_run() is None


@pytest.mark.parametrize("name", ["log", "log_text", "log_image", "summary", "set_primary_metric", "finish"])
def test_functions_of_the_module_need_a_run(name: str) -> None:
    arguments = {"log_text": ["t"], "log_image": ["k", b""], "summary": [{}], "set_primary_metric": ["m"]}
    with pytest.raises(RuntimeError, match="init"):
        getattr(rn, name)(*arguments.get(name, []))


def test_it_says_what_parts_it_has() -> None:
    assert (rn.HAS_ARTIFACTS, rn.HAS_MONITORING, rn.HAS_ENV_CAPTURE) == (False, True, True)
    assert rn.HAS_NUMPY
    assert rn.HAS_PIL
    assert re.fullmatch(r"\d+\.\d+\.\d+", rn.__version__)


def test_a_run_that_is_taken_up_counts_on(tmp_path: Path) -> None:
    for first, status in ((1, "failed"), (4, "finished")):
        run = rn.init(run_id=RUN_ID, capture_env=False)
        for n in range(3):
            run.log(n=n)
        run.log_image("cat", b"picture")
        steps = [said["data"]["global_step"] for said in records(run.run_dir) if said["type"] == "metrics"]
        assert steps[-3:] == [first, first + 1, first + 2]
        run.finish(status)


def test_one_that_joins_a_living_run_counts_for_itself() -> None:
    for _ in range(2):
        run = rn.init(run_id=RUN_ID, capture_env=False)
        run.log(n=1)
        assert records(run.run_dir)[-1]["data"]["global_step"] == 1
