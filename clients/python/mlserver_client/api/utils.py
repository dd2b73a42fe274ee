"""DataFrames and CSV files of metrics and experiments; needs pandas (`pip install 'mlserver-client[pandas]'`)."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlserver_client.api.client import RunicornClient

try:
    import pandas as pd
except ImportError as error:
    raise ImportError("mlserver_client.api.utils needs pandas: pip install 'mlserver-client[pandas]'") from error

if TYPE_CHECKING:
    import os

Points = Iterable[Mapping[str, Any]]


def metrics_to_dataframe(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """`step`, ascending, and a column per metric, joined on the step; NaN where a metric has no value.

    `metrics`: what `get_metrics` answers, or its `metrics` alone.
    """
    return joined(metrics.get("metrics", metrics))


def joined(points: Mapping[str, Points]) -> pd.DataFrame:
    columns = {}
    for name, rows in points.items():
        # The later of two values of one step counts.
        columns[name] = pd.Series({row["step"]: row["value"] for row in rows}, dtype="float64")
    if not columns:
        return pd.DataFrame({"step": pd.Series(dtype="int64")})
    frame = pd.concat(columns, axis=1).sort_index()
    frame.index = frame.index.astype("int64")
    return frame.rename_axis("step").reset_index()


def experiments_to_dataframe(experiments: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A row each, `created_at` and `updated_at` as timestamps in UTC; an empty frame of none."""
    frame = pd.DataFrame([dict(experiment) for experiment in experiments])
    for name in ("created_at", "updated_at"):
        if name in frame:
            frame[name] = pd.to_datetime(frame[name], unit="s", utc=True)
    return frame


def export_metrics_to_csv(
    client: RunicornClient,
    run_id: str,
    output_path: "str | os.PathLike[str]",
    metric_names: Sequence[str] | None = None,
) -> str:
    """The path that was written."""
    metrics_to_dataframe(client.get_metrics(run_id, metric_names)).to_csv(Path(output_path), index=False)
    return str(output_path)


def compare_runs(client: RunicornClient, run_ids: Sequence[str], metric_name: str) -> pd.DataFrame:
    """`step` and a column per run id with this metric, joined on the step."""
    found = {run_id: client.get_metrics(run_id, [metric_name]).get("metrics", {}) for run_id in run_ids}
    return joined({run_id: metrics.get(metric_name, []) for run_id, metrics in found.items()})
