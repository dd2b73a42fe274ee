"""Each row of the contract of Runicorn's tracking library (section 12 of its API document), but artifacts."""

import importlib
import inspect
import math
import re
from pathlib import Path
from typing import Any

import mlserver_client as rn
import pytest
from mlserver_client.files import read_json

from tests.clients.scripts import records, run_script
from tests.pictures import picture

FUNCTIONS = ("log", "log_text", "log_image", "summary", "set_primary_metric", "finish")


@pytest.fixture
def run() -> rn.Run:
    return rn.init(project="digits", capture_env=False)


def log_of(run: rn.Run) -> str:
    path = run.run_dir / "logs.txt"
    return path.read_text() if path.exists() else ""


def test_init_has_the_parameters_of_the_contract_first(run: rn.Run) -> None:
    parameters = list(inspect.signature(rn.init).parameters.values())
    assert [(one.name, one.default) for one in parameters[:5]] == [
        ("project", "default"), ("storage", None), ("run_id", None), ("name", None), ("capture_env", True),
    ]  # fmt: skip
    assert rn.get_active_run() is run
    assert (run.name, run.project) == ("default", "digits")
    assert re.fullmatch(r"\d{8}_\d{6}_[0-9a-f]{6}", run.id)


def test_a_storage_root_comes_from_the_argument_then_the_environment_then_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rn.init(capture_env=False).storage_root == tmp_path / ".runicorn"
    (tmp_path / "config" / "runicorn").mkdir(parents=True)
    (tmp_path / "config" / "runicorn" / "config.json").write_text(f'{{"user_root_dir": "{tmp_path}/c"}}')
    assert rn.init(capture_env=False).storage_root == tmp_path / "c"
    monkeypatch.setenv("RUNICORN_DIR", str(tmp_path / "e"))
    assert rn.init(capture_env=False).storage_root == tmp_path / "e"
    assert rn.init(storage=tmp_path / "a", capture_env=False).storage_root == tmp_path / "a"


@pytest.mark.parametrize(
    "run_id", ["x", "20260102_030405_0A1B2C", "20260102_030405_0a1b2c ", "../20260102_030405_0a1b2c"]
)
def test_a_run_id_must_match(run_id: str) -> None:
    with pytest.raises(ValueError, match="run_id"):
        rn.init(run_id=run_id)


def test_a_run_has_the_attributes_of_the_contract(run: rn.Run) -> None:
    assert run.run_dir == run.storage_root / run.project / run.name / "runs" / run.id
    assert run.media_dir == run.run_dir / "media"


def test_steps_are_counted_from_1_and_may_be_set(run: rn.Run, caplog: pytest.LogCaptureFixture) -> None:
    run.log({"a": 1})
    run.log({"a": 2, "step": 99, "global_step": 98}, stage="train")
    run.log(a=3, step=10)
    run.log(a=4, step="nonsense")  # type: ignore[arg-type]
    said = [record["data"] for record in records(run.run_dir)]
    assert [data["global_step"] for data in said] == [1, 2, 10, 11]
    assert [data.get("stage") for data in said] == [None, "train", None, None]
    assert all(data["time"] > 1.6e9 and "step" not in data for data in said)
    assert "nonsense" in caplog.text


def test_text_is_a_line_with_its_time(run: rn.Run) -> None:
    run.log_text("hello")
    assert re.fullmatch(r"\d\d:\d\d:\d\d \| hello\n", log_of(run))


def test_an_image_lies_in_media_under_a_name_of_the_contract(run: rn.Run) -> None:
    path = run.log_image("cat", picture("JPEG"), step=3, caption="c", format="jpg", quality=50)
    assert path is not None
    assert re.fullmatch(r"media/\d{13}_[0-9a-f]{6}_cat\.jpg", path)
    assert (run.run_dir / path).read_bytes() == picture("JPEG")
    assert records(run.run_dir)[-1]["data"] == {"key": "cat", "path": path, "step": 3, "caption": "c"}


@pytest.mark.parametrize(("mode", "best"), [("max", (0.9, 2)), ("min", (0.1, 3))])
def test_the_primary_metric_keeps_its_best_in_the_summary(mode: str, best: tuple[float, int], run: rn.Run) -> None:
    run.set_primary_metric("acc", mode)
    for value in (0.5, 0.9, 0.1, math.nan, 0.5):
        run.log(acc=value)
    run.finish()
    said = read_json(run.run_dir / "summary.json")
    assert (said["best_metric_value"], said["best_metric_step"]) == best
    assert (said["best_metric_name"], said["best_metric_mode"]) == ("acc", mode)


def test_a_primary_metric_set_anew_begins_anew(run: rn.Run) -> None:
    run.set_primary_metric("acc")
    run.log(acc=0.9)
    run.set_primary_metric("acc")
    run.log(acc=0.2)
    run.finish()
    assert read_json(run.run_dir / "summary.json")["best_metric_value"] == 0.2
    with pytest.raises(ValueError, match="median"):
        run.set_primary_metric("acc", "median")


@pytest.mark.parametrize("status", ["finished", "failed", "interrupted"])
def test_finish_says_how_and_when(status: str, run: rn.Run) -> None:
    run.summary({"a": 1})
    run.finish(status)
    said = read_json(run.run_dir / "status.json")
    assert (said["status"], said["ended_at"] >= said["started_at"]) == (status, True)
    assert rn.get_active_run() is None


def test_the_functions_of_the_module_act_on_the_active_run(run: rn.Run) -> None:
    rn.log({"a": 1})
    rn.log_text("t")
    rn.log_image("cat", picture())
    rn.summary({"s": 1})
    rn.set_primary_metric("a")
    rn.finish()
    assert [record["type"] for record in records(run.run_dir)] == ["metrics", "image"]
    assert "| t\n" in log_of(run)
    assert read_json(run.run_dir / "summary.json")["s"] == 1
    for name in FUNCTIONS:
        arguments: dict[str, list[Any]] = {
            "log_text": ["t"], "log_image": ["k", b""], "summary": [{}], "set_primary_metric": ["m"],
        }  # fmt: skip
        with pytest.raises(RuntimeError, match="init"):
            getattr(rn, name)(*arguments.get(name, []))


def test_it_says_its_version_and_which_parts_are_there() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", rn.__version__)
    parts = {name: getattr(rn, name) for name in rn.__all__ if name.startswith("HAS_")}
    assert parts == {
        "HAS_MODERN_STORAGE": True, "HAS_MONITORING": True, "HAS_ENV_CAPTURE": True, "HAS_PIL": True, "HAS_NUMPY": True,
        "HAS_ARTIFACTS": parts["HAS_ARTIFACTS"],  # they come with the registry
    }  # fmt: skip
    assert parts["HAS_ARTIFACTS"] is hasattr(rn, "Artifact")


@pytest.mark.parametrize("word", ["1", "true", "yes", "TRUE"])
def test_files_only_when_the_switch_says_so(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNICORN_DISABLE_MODERN_STORAGE", word)
    monkeypatch.setenv("MLSERVER_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MLSERVER_API_KEY", "k")
    try:
        assert importlib.reload(rn).HAS_MODERN_STORAGE is False
        run = rn.init(capture_env=False)
        run.log(a=1)
        assert not (run.run_dir / "delivery.lock").exists()
    finally:
        monkeypatch.undo()
        importlib.reload(rn)


@pytest.mark.process
def test_parts_switch_themselves_off_when_they_are_absent(tmp_path: Path) -> None:
    status, out, err = run_script(
        tmp_path,
        """
        import importlib.util
        real = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *rest: None if name in ("numpy", "PIL") else real(name, *rest)
        import importlib; importlib.reload(rn)
        print(rn.HAS_PIL, rn.HAS_NUMPY, rn.HAS_ENV_CAPTURE)
        rn.init(capture_env=False).log(a=1)
        """,
    )
    assert (status, out) == (0, "False False True\n"), err


def test_a_loss_that_is_no_number_is_an_alert_once_until_it_mends(run: rn.Run) -> None:
    run.log(loss=1.0, accuracy=math.nan)
    for _ in range(3):
        run.log({"train/Loss": math.nan, "val_loss": -math.inf})
    run.log({"train/Loss": 0.5})
    run.log({"train/Loss": math.inf})
    alerts = [line.partition(" | ")[2] for line in log_of(run).splitlines()]
    assert alerts == [
        "ALERT train/Loss is NaN at step 2",
        "ALERT val_loss is infinite at step 2",
        "ALERT train/Loss is infinite at step 6",
    ]


def test_rules_of_the_users_own_are_alerts_too(run: rn.Run) -> None:
    run.monitor.add_rule("hot", "temperature", lambda value: value > 90, "the GPU is hot").add_rule(
        "low", "acc", lambda value: value < 0.1
    )
    for value in (80, 95, 99, 80, 91, None, "warm"):
        run.log(temperature=value, acc=0.05)
    alerts = [line.partition(" | ")[2] for line in log_of(run).splitlines()]
    assert alerts == [
        "ALERT low: acc is 0.05 at step 1",
        "ALERT hot: the GPU is hot at step 2",
        "ALERT hot: the GPU is hot at step 5",
    ]


def test_a_rule_that_raises_ends_no_training(run: rn.Run, caplog: pytest.LogCaptureFixture) -> None:
    run.monitor.add_rule("odd", "a", lambda value: 1 / 0)  # type: ignore[arg-type, return-value]
    for n in range(3):
        run.log(a=n)
    assert [record["data"]["a"] for record in records(run.run_dir)] == [0, 1, 2]
    assert caplog.text.count("ZeroDivisionError") == 1
