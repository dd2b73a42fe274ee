"""DataFrames and CSV."""

import math
from pathlib import Path

import pandas as pd
from mlserver_client.api import RunicornClient
from mlserver_client.api.utils import (
    compare_runs,
    experiments_to_dataframe,
    export_metrics_to_csv,
    metrics_to_dataframe,
)

from tests.clients.api.rows import RowsServer


def points(*pairs: tuple[int, float | None]) -> list[dict[str, object]]:
    return [{"step": step, "value": value, "timestamp": 1.0} for step, value in pairs]


METRICS = {"run_id": "r", "metrics": {"loss": points((2, 0.5), (1, 1.0)), "val": points((2, 0.25), (9, None))}}


def test_metrics_are_joined_on_the_step() -> None:
    frame = metrics_to_dataframe(METRICS)
    assert list(frame.columns) == ["step", "loss", "val"]
    assert list(frame["step"]) == [1, 2, 9]
    assert list(frame["loss"])[:2] == [1.0, 0.5]
    assert math.isnan(frame["val"][0])
    assert list(metrics_to_dataframe(METRICS["metrics"])["step"]) == [1, 2, 9]  # type: ignore[arg-type]


def test_the_later_value_of_a_step_counts() -> None:
    assert list(metrics_to_dataframe({"loss": points((1, 1.0), (1, 2.0))})["loss"]) == [2.0]


def test_no_metrics_are_an_empty_frame() -> None:
    assert list(metrics_to_dataframe({"run_id": "r", "metrics": {}}).columns) == ["step"]
    assert len(metrics_to_dataframe({"metrics": {"loss": []}})) == 0


def test_experiments_are_rows_with_timestamps() -> None:
    frame = experiments_to_dataframe([{"id": "a", "created_at": 0.0, "updated_at": None}, {"id": "b"}])
    assert list(frame["id"]) == ["a", "b"]
    assert frame["created_at"][0] == pd.Timestamp(0, tz="UTC")
    assert frame["updated_at"].isna().all()


def test_no_experiments_are_an_empty_frame() -> None:
    assert experiments_to_dataframe([]).empty


def test_metrics_are_written_as_csv(client: RunicornClient, rows: RowsServer, tmp_path: Path) -> None:
    rows.rows["GET /api/metrics/r"] = METRICS
    path = tmp_path / "m.csv"
    assert export_metrics_to_csv(client, "r", path, ["loss", "val"]) == str(path)
    assert path.read_text().splitlines() == ["step,loss,val", "1,1.0,", "2,0.5,0.25", "9,,"]
    assert rows.asked[0].query == {"metrics": "loss,val"}


def test_runs_are_compared_on_the_step(client: RunicornClient, rows: RowsServer) -> None:
    rows.rows["GET /api/metrics/a"] = {"metrics": {"loss": points((1, 1.0), (2, 0.5))}}
    rows.rows["GET /api/metrics/b"] = {"metrics": {"loss": points((2, 0.4))}}
    rows.rows["GET /api/metrics/c"] = {"metrics": {}}
    frame = compare_runs(client, ["a", "b", "c"], "loss")
    assert list(frame.columns) == ["step", "a", "b", "c"]
    assert list(frame["step"]) == [1, 2]
    assert frame["b"][1] == 0.4
    assert frame["c"].isna().all()
