"""run.log: what becomes a record, and that nothing raises."""

import json
import math
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import mlserver_client as rn
import numpy as np
import pytest
from mlserver_client import Run
from mlserver_client.lines import metrics_line

from tests.clients.scripts import records, said


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return rn.init(storage=tmp_path, capture_env=False)


def logged(run: Run) -> list[dict[str, Any]]:
    return [record["data"] for record in records(run.run_dir)]


def test_it_writes_a_record_with_step_and_time(run: Run) -> None:
    before = time.time()
    run.log({"loss": 0.5}, stage="train")
    (record,) = records(run.run_dir)
    assert record["type"] == "metrics"
    assert before <= record["ts"] == record["data"]["time"] <= time.time()
    assert record["data"] == {"global_step": 1, "time": record["ts"], "stage": "train", "loss": 0.5}


def test_it_counts_from_one_and_from_a_given_step(run: Run) -> None:
    for step in (None, None, 10, None, "20", None, "bad", math.inf):
        run.log(step=step, loss=1)  # type: ignore[arg-type]
    assert [data["global_step"] for data in logged(run)] == [1, 2, 10, 11, 20, 21, 22, 23]


def test_it_merges_data_and_arguments(run: Run) -> None:
    run.log({"a": 1, "b": 2}, b=3, c=4)
    assert {name: logged(run)[0][name] for name in "abc"} == {"a": 1, "b": 3, "c": 4}


def test_it_fills_its_own_fields_itself(run: Run) -> None:
    run.log({"step": 9, "global_step": 8, "time": 7, "stage": "val", "loss": 1})
    (data,) = logged(run)
    assert (data["global_step"], data["stage"], "step" in data) == (1, "val", False)
    assert data["time"] > 7


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (1, 1),
        (2**70, 2**70),
        (True, True),
        ("text", "text"),
        ("\ud800\n\"", "\ud800\n\""),
        (None, None),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
        (5e-324, 5e-324),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([0.25]), 0.25),
        (Decimal("0.5"), 0.5),
    ],
)  # fmt: skip
def test_it_keeps(value: object, kept: object, run: Run) -> None:
    run.log(x=value)
    assert logged(run)[0]["x"] == kept
    assert type(logged(run)[0]["x"]) is type(kept)


def test_it_keeps_nan(run: Run) -> None:
    run.log(x=math.nan, y=np.float32("nan"))
    assert math.isnan(logged(run)[0]["x"])
    assert math.isnan(logged(run)[0]["y"])


def test_it_keeps_a_scalar_of_torch(run: Run) -> None:
    class Tensor:
        """As torch's, of which only item() is asked: importing torch costs seconds."""

        def item(self) -> float:
            return 0.5

    run.log(loss=Tensor())
    assert logged(run)[0]["loss"] == 0.5


class Broken:
    def item(self) -> float:
        raise RuntimeError("CUDA error: device-side assert triggered")


@pytest.mark.parametrize("value", [object(), np.arange(3), 1j, b"bytes", Broken()])
def test_it_leaves_out_a_bad_value_and_warns_once(value: object, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        run.log({"bad": value, "good": 1})
    assert [("bad" in data, data["good"]) for data in logged(run)] == [(False, 1)] * 3
    assert caplog.text.count("'bad' is not logged") == 1


def test_it_leaves_out_a_value_that_holds_itself(run: Run) -> None:
    itself: list[object] = []
    itself.append(itself)
    run.log({"bad": itself, "good": 1})
    assert "good" in logged(run)[0]


@pytest.mark.parametrize("data", [5, "text", [1, 2], object()])
def test_it_warns_of_data_that_is_no_dictionary(data: Any, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    run.log(data)
    run.log(loss=1)
    assert logged(run)[-1]["loss"] == 1
    assert "log() could not record" in caplog.text


def test_it_passes_over_names_that_are_no_texts(run: Run) -> None:
    run.log({(1, 2): 1, 3: 4, "a": 1})  # type: ignore[dict-item]
    assert logged(run)[0]["3"] == 4


def test_it_keeps_nothing_after_the_end(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    run.log(loss=1)
    run.finish()
    run.log(loss=2)
    assert len(logged(run)) == 1
    assert "is finished" in caplog.text


def test_a_record_without_values_is_one() -> None:
    assert json.loads(metrics_line({}, 1, 2.0)) == {
        "ts": 2.0, "type": "metrics", "data": {"global_step": 1, "time": 2.0},
    }  # fmt: skip
    assert json.loads(metrics_line({}, 1, 2.0, 'a"b'))["data"]["stage"] == 'a"b'


def test_twelve_thousand_names_are_one_record(run: Run) -> None:
    run.log({f"layer{n}/norm": float(n) for n in range(12_000)})
    assert len(logged(run)[0]) == 12_002


@pytest.mark.parametrize(("mode", "best", "step"), [("max", 0.9, 2), ("min", 0.1, 3)])
def test_it_keeps_the_best_of_the_primary_metric(mode: str, best: float, step: int, run: Run) -> None:
    run.set_primary_metric("accuracy", mode)
    for value in (0.5, 0.9, 0.1, math.nan, "text", 0.3):
        run.log(accuracy=value)
    run.finish()
    assert said(run.run_dir, "summary.json") == {
        "best_metric_value": best, "best_metric_name": "accuracy", "best_metric_step": step, "best_metric_mode": mode,
    }  # fmt: skip


def test_another_primary_metric_begins_anew(run: Run) -> None:
    run.set_primary_metric("accuracy")
    run.log(accuracy=0.9)
    run.set_primary_metric("loss", "min")
    assert said(run.run_dir, "summary.json")["best_metric_value"] is None


def test_it_refuses_a_mode_that_is_none(run: Run) -> None:
    with pytest.raises(ValueError, match="median"):
        run.set_primary_metric("loss", "median")


def test_summaries_are_merged(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    run.summary({"a": 1, "b": 2})
    run.summary({"b": np.float32(0.5)})
    run.summary(5)  # type: ignore[arg-type]
    run.summary({"c": object()})
    assert said(run.run_dir, "summary.json") == {"a": 1, "b": 0.5}
    assert "summary.json cannot be written" in caplog.text


def test_it_writes_the_files_about_the_run(run: Run) -> None:
    meta, status = said(run.run_dir, "meta.json"), said(run.run_dir, "status.json")
    assert set(meta) >= {
        *("id", "project", "name", "created_at", "python", "platform", "hostname", "pid", "storage_dir"),
    }  # fmt: skip
    assert (status["status"], status["ended_at"]) == ("running", None)
    run.finish("interrupted")
    run.finish("failed")
    assert said(run.run_dir, "status.json")["status"] == "interrupted"
    assert said(run.run_dir, "status.json")["ended_at"] >= status["started_at"]


def test_a_status_that_is_none_is_a_failure(run: Run) -> None:
    run.finish("great")
    assert said(run.run_dir, "status.json")["status"] == "failed"


def test_a_block_ends_its_run(tmp_path: Path) -> None:
    with rn.init(storage=tmp_path, capture_env=False) as good:
        good.log(loss=1)
    with pytest.raises(KeyError), rn.init(storage=tmp_path, capture_env=False) as bad:
        raise KeyError("x")
    assert said(good.run_dir, "status.json")["status"] == "finished"
    ended = said(bad.run_dir, "status.json")
    assert (ended["status"], ended["exit_reason"]) == ("failed", "KeyError: 'x'")


def test_it_writes_lines_of_text(run: Run) -> None:
    run.log_text("größer \ud800")
    run.log_text(7)  # type: ignore[arg-type]
    first, second = (run.run_dir / "logs.txt").read_bytes().splitlines()
    assert first[8:] == " | größer ?".encode()
    assert second[8:] == b" | 7"
