"""Answers as objects."""

import math
from datetime import UTC, datetime

from mlserver_client.api import Artifact, Experiment, MetricSeries, Project, RemoteSession

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_an_experiment() -> None:
    found = Experiment.from_dict(
        {"id": "r", "project": "p", "name": "n", "status": "failed", "created_at": AT.timestamp(), "summary": None}
    )
    assert (found.id, found.status, found.summary, found.tags) == ("r", "failed", {}, [])
    assert (found.created_datetime, found.updated_datetime) == (AT, AT)


def test_an_experiment_of_a_run_list() -> None:
    found = Experiment.from_dict({"id": "r", "project": None, "created_time": 5.0, "updated_at": 6.0, "tags": ["a"]})
    assert (found.project, found.status, found.created_at, found.updated_at) == ("", "finished", 5.0, 6.0)
    assert found.tags == ["a"]


def test_a_series() -> None:
    points = [{"step": step, "value": value} for step, value in ((1, 0.5), (2, math.nan), (3, 0.25), (4, 0.3))]
    series = MetricSeries.from_dict("loss", points)
    assert (series.steps, series.values[0]) == ([1, 2, 3, 4], 0.5)
    assert (series.last_value(), series.min_value(), series.max_value()) == (0.3, 0.25, 0.5)


def test_a_series_without_points() -> None:
    series = MetricSeries.from_dict("loss", [])
    assert (series.last_value(), series.min_value(), series.max_value()) == (None, None, None)


def test_an_artifact() -> None:
    found = Artifact.from_dict({"name": "asr", "version": 3, "created_at": AT.timestamp(), "size_bytes": 3 * 2**19})
    assert (found.id, found.type, found.size_mb, found.metadata) == ("asr:v3", "custom", 1.5, {})
    assert found.created_datetime == AT


def test_a_remote_session() -> None:
    found = RemoteSession.from_dict({"session_id": "s", "local_port": 8081, "remote_root": None})
    assert (found.local_url, found.remote_root) == ("http://localhost:8081", "")


def test_a_project() -> None:
    assert Project.from_dict({"name": "p", "experiment_count": 2, "latest_update": 5.0}) == Project("p", 2, 5.0)
