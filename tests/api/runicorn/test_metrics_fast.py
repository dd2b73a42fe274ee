"""GET /api/v2/experiments/{id}/metrics/fast (R20)."""

from typing import Any

import numpy as np
import pytest
from django.test import Client

from tests.api.runicorn.refusals import assert_refuses_other_runs
from tests.metrics import log, log_columns
from training.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def logged(run) -> Run:
    log(
        run,
        {"global_step": 1, "loss": 0.5, "cer": 0.75, "time": 10.0},
        {"global_step": 2, "loss": 0.25, "stage": "val", "time": 11.0},
        {"global_step": 3, "loss": 0.125, "time": 12.0},
    )
    return run


def read(client: Client, run: Run, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/api/v2/experiments/{run.pk}/metrics/fast{query}")
    assert answer.status_code == 200, answer.content
    said: dict[str, Any] = answer.json()
    assert said.pop("query_time_ms") >= 0
    return said


def test_it_answers_all_metrics(client, logged):
    said = read(client, logged)
    assert said["columns"] == ["global_step", "cer", "loss", "stage", "time"]
    assert said["rows"][1] == {"global_step": 2, "cer": None, "loss": 0.25, "stage": "val", "time": 11.0}
    assert said["total_points"] == 3
    assert said["applied_filters"] == {"metrics": None, "step_range": None, "downsampled": False}


def test_it_answers_some_metrics_and_null_for_unknown_ones(client, logged):
    said = read(client, logged, "?metric_names=loss,nope,cer,loss")
    assert said["columns"] == ["global_step", "loss", "nope", "cer"]
    assert said["rows"][0] == {"global_step": 1, "loss": 0.5, "nope": None, "cer": 0.75}
    assert [row["nope"] for row in said["rows"]] == [None, None, None]
    assert said["applied_filters"]["metrics"] == ["loss", "nope", "cer"]


def test_it_takes_step_and_time_for_names(client, logged):
    said = read(client, logged, "?metric_names=time,global_step")
    assert (said["columns"], said["rows"][0]) == (["global_step", "time"], {"global_step": 1, "time": 10.0})


@pytest.mark.parametrize(
    ("step_range", "steps"), [("2:3", [2, 3]), ("2:2", [2]), ("-5:1", [1]), ("3:2", []), ("7:9", [])]
)
def test_it_answers_some_steps(step_range, steps, client, logged):
    said = read(client, logged, f"?step_range={step_range}&metric_names=loss")
    assert [row["global_step"] for row in said["rows"]] == steps
    low, high = map(int, step_range.split(":"))
    assert (said["total_points"], said["applied_filters"]["step_range"]) == (len(steps), [low, high])


@pytest.mark.parametrize("points", [2, 3, 10, 90])
def test_it_samples(points, client, run):
    log_columns(run, range(1000), loss=np.sin(np.arange(1000)), lr=np.ones(1000))
    said = read(client, run, f"?downsample={points}")
    shown = [row["global_step"] for row in said["rows"]]
    assert (len(shown), said["total_points"]) == (points, points)
    assert (shown[0], shown[-1]) == (0, 999)
    assert said["applied_filters"]["downsampled"] is True


def test_it_says_when_no_row_was_left_out(client, logged):
    assert read(client, logged, "?downsample=3")["applied_filters"]["downsampled"] is False


def test_it_answers_nothing_of_an_empty_run(client, run):
    assert (said := read(client, run))["rows"] == [] and said["columns"] == []


@pytest.mark.parametrize(
    "query",
    ["step_range=1", "step_range=", "step_range=a:b", "step_range=1:2:3", "step_range=1.5:2", "step_range=:3",
     "step_range=1:9223372036854775808", "step_range=1:٣", "downsample=1", "downsample=50001", "downsample=x"],
)  # fmt: skip
def test_returns_400_when_the_query_is_refused(query, client, run):
    answer = client.get(f"/api/v2/experiments/{run.pk}/metrics/fast?{query}")
    assert (answer.status_code, list(answer.json())) == (400, ["detail"])
    assert query.split("=")[0] in answer.json()["detail"]


def test_it_asks_the_database_little(client, logged, django_assert_num_queries):
    read(client, logged)
    with django_assert_num_queries(3):
        read(client, logged, "?metric_names=loss&downsample=2")


def test_it_refuses_runs_that_are_not_there(client):
    assert_refuses_other_runs(client, "/api/v2/experiments/{}/metrics/fast")
