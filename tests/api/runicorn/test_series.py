"""GET /api/metrics/{run_id} (R50)."""

import math

import numpy as np
import orjson
import pytest

from tests.api.runicorn.refusals import assert_refuses_other_runs
from tests.metrics import log, log_columns
from training.models import Run
from training.tracking.metrics import cache, rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def logged(run) -> Run:
    log(
        run,
        {"global_step": 3, "loss": 0.125, "time": 12.0, "mixed": 7},
        {"global_step": 1, "loss": 0.5, "time": 10.0, "cer": math.nan, "stage": "train"},
        {"global_step": 2, "loss": 0.25, "is_best": True, "mixed": "n/a"},
        {"global_step": 4, "loss": math.inf, "time": 13.0},
    )
    return run


def point(step, value, timestamp):
    return {"step": step, "value": value, "timestamp": timestamp}


LOSS = [point(1, 0.5, 10.0), point(2, 0.25, None), point(3, 0.125, 12.0)]


def test_it_answers_recorded_numbers_by_ascending_step(client, logged):
    assert client.get(f"/api/metrics/{logged.pk}").json() == {
        "run_id": logged.pk,
        "metrics": {"loss": LOSS, "mixed": [point(3, 7.0, 12.0)]},
    }


def test_it_answers_the_names_that_are_asked_for(client, logged):
    said = client.get(f"/api/metrics/{logged.pk}?metrics=stage, loss,nope,mixed").json()["metrics"]
    assert said == {"stage": [], "loss": LOSS, "nope": [], "mixed": [point(3, 7.0, 12.0)]}


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (2, 2), (3, 3), (100, 3)])
def test_it_answers_the_last_of_each(limit, count, client, logged):
    said = client.get(f"/api/metrics/{logged.pk}?limit={limit}").json()["metrics"]
    assert said["loss"] == LOSS[-count:]
    assert len(said["mixed"]) == 1


def test_it_answers_nothing_of_an_empty_run(client, run):
    assert client.get(f"/api/metrics/{run.pk}").json() == {"run_id": run.pk, "metrics": {}}


def test_it_streams_many_points_of_runs_of_any_size(client, run, monkeypatch):
    values = np.random.default_rng(1).standard_normal(50_000)
    log_columns(run, range(50_000), a=values, b=-values, c=np.full(50_000, np.nan))
    kept = client.get(f"/api/metrics/{run.pk}").getvalue()
    assert [it["value"] for it in orjson.loads(kept)["metrics"]["b"]] == (-values).tolist()
    cache.clear()
    monkeypatch.setattr(cache, "max_bytes", 10)
    monkeypatch.setattr(rows, "LOAD_BYTES", 500_000)
    assert client.get(f"/api/metrics/{run.pk}").getvalue() == kept


@pytest.mark.parametrize("limit", ["0", "-1", "x", "", "1.5"])
def test_returns_400_when_the_limit_is_refused(limit, client, run):
    answer = client.get(f"/api/metrics/{run.pk}?limit={limit}")
    assert (answer.status_code, list(answer.json())) == (400, ["detail"])
    assert "limit" in answer.json()["detail"]


def test_it_asks_the_database_little(client, logged, django_assert_num_queries):
    client.get(f"/api/metrics/{logged.pk}")
    with django_assert_num_queries(3):
        client.get(f"/api/metrics/{logged.pk}")


def test_it_refuses_runs_that_are_not_there(client):
    assert_refuses_other_runs(client, "/api/metrics/{}")
