"""GET /api/runs/{run_id}/metrics (R7) and /api/runs/{run_id}/metrics_step (R8)."""

import math
from typing import Any

import numpy as np
import pytest
from django.test import Client

from tests.api.runicorn.refusals import assert_refuses_other_runs
from tests.make import make_sdk_run
from tests.metrics import expected_rows, log, log_columns
from training.models import Run
from training.tracking.metrics import cache, rows

pytestmark = pytest.mark.django_db
BOTH = pytest.mark.parametrize("row", ["metrics", "metrics_step"])
EVENTS = [
    {"global_step": 2, "loss": 0.5, "time": 1000.5, "stage": "train", "epoch": 1},
    {"global_step": 1, "loss": math.inf, "cer": math.nan, "time": 1000.0, "step": 7, "is_best": True},
    {"step": 3, "loss": 0.25, "time": 1002.0},
    {"loss": 99.0, "time": 1003.0},
    {"global_step": 2, "stage": "val", "time": 1001.0, "weird, \"name\"\n": 1.5},
]  # fmt: skip


def read(client: Client, run: Run, row: str = "metrics_step", query: str = "") -> Any:
    answer = client.get(f"/api/runs/{run.pk}/{row}{query}")
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "application/json"
    return answer


def body(answer: Any) -> Any:
    import orjson

    return orjson.loads(answer.getvalue())


def test_it_answers_rows_by_step_with_every_column(client, run):
    log(run, *EVENTS)
    answer = read(client, run)
    nothing = {"cer": None, "is_best": None, "loss": None, "stage": None, 'weird, "name"\n': None}
    assert body(answer) == {
        "columns": ["global_step", "cer", "is_best", "loss", "stage", "time", 'weird, "name"\n'],
        "rows": [
            {**nothing, "global_step": 1, "is_best": True, "time": 1000.0},
            {**nothing, "global_step": 2, "loss": 0.5, "stage": "val", "time": 1001.0, 'weird, "name"\n': 1.5},
            {**nothing, "global_step": 3, "loss": 0.25, "time": 1002.0},
        ],
        "total": 3,
        "sampled": 3,
    }
    assert [list(row) for row in body(answer)["rows"]] == [body(answer)["columns"]] * 3
    assert {name: answer[name] for name in ("X-Row-Count", "X-Total-Count", "X-Last-Step")} == {
        "X-Row-Count": "3", "X-Total-Count": "3", "X-Last-Step": "3",
    }  # fmt: skip


def test_it_answers_rows_by_time_in_seconds_since_the_first(client, run):
    log(
        run,
        {"global_step": 1, "loss": 1.0},
        {"global_step": 2, "loss": 2.0, "time": 500.0},
        {"global_step": 3, "loss": 3.0},
        {"global_step": 4, "loss": 4.0, "time": 400.0},
        {"global_step": 5, "loss": 5.0, "time": math.inf},
        {"global_step": 6, "loss": 6.0, "time": 450.0},
    )
    said = body(answer := read(client, run, "metrics"))
    assert said["columns"] == ["time", "global_step", "loss"]
    # The first row without time is 0; 3 takes the time of 2, 5 that of 4.
    assert [(row["time"], row["global_step"], row["loss"]) for row in said["rows"]] == [
        (0.0, 1, 1.0), (0.0, 4, 4.0), (0.0, 5, 5.0), (50.0, 6, 6.0), (100.0, 2, 2.0), (100.0, 3, 3.0),
    ]  # fmt: skip
    assert answer["X-Last-Step"] == "3"


def test_rows_without_any_time_are_at_0_and_have_no_time_by_step(client, run):
    log(run, {"global_step": 2, "loss": 1.0}, {"global_step": 5, "loss": 2.0})
    assert [(row["time"], row["global_step"]) for row in body(read(client, run, "metrics"))["rows"]] == [(0, 2), (0, 5)]
    assert body(read(client, run))["columns"] == ["global_step", "loss"]


@BOTH
def test_it_answers_nothing_of_an_empty_run(row, client, run):
    answer = read(client, run, row)
    assert body(answer) == {"columns": [], "rows": [], "total": 0, "sampled": 0}
    assert (answer["X-Row-Count"], answer["X-Total-Count"], "X-Last-Step" in answer) == ("0", "0", False)


@BOTH
def test_it_samples_and_keeps_the_peaks_of_every_column(row, client, run):
    steps = np.arange(5000)
    noise = np.random.default_rng(1).standard_normal(5000)
    columns = {"a": noise.copy(), "b": noise[::-1].copy()}
    columns["a"][1234], columns["b"][4321] = 50.0, -50.0
    log_columns(run, steps, **columns)
    answer = read(client, run, row, "?downsample=100")
    said = body(answer)
    shown = [line["global_step"] for line in said["rows"]]
    assert (said["total"], said["sampled"], len(shown)) == (5000, len(shown), len(shown))
    assert 90 <= len(shown) <= 100
    assert {0, 1234, 4321, 4999} <= set(shown)
    assert shown == sorted(shown)
    assert all(line["a"] == columns["a"][line["global_step"]] for line in said["rows"])
    assert (answer["X-Row-Count"], answer["X-Total-Count"]) == (str(len(shown)), "5000")
    assert answer["X-Last-Step"] == "4999"


def test_it_samples_by_time_when_times_and_steps_disagree(client, run):
    count = 1000
    log(run, *({"global_step": step, "loss": float(step % 7), "time": 2000.0 - step} for step in range(count)))
    said = body(read(client, run, "metrics", "?downsample=100"))
    assert len(said["rows"]) == 100
    assert [(line["time"], line["global_step"]) for line in (said["rows"][0], said["rows"][-1])] == [
        (0.0, count - 1), (count - 1.0, 0),
    ]  # fmt: skip
    assert all(line["time"] == count - 1 - line["global_step"] for line in said["rows"])


@BOTH
@pytest.mark.parametrize(
    "columns",
    [
        {f"c{number}": np.sin(np.arange(400) / (number + 1)) for number in range(150)},
        {"nothing": np.full(400, np.nan), "same": np.ones(400)},
        {"infinite": np.where(np.arange(400) % 2, np.inf, -np.inf)},
    ],
    ids=["more columns than points", "NaN and constant", "infinity"],
)
def test_it_samples_any_columns(row, columns, client, run):
    log_columns(run, range(400), **columns)
    said = body(read(client, run, row, "?downsample=100"))
    assert (said["total"], said["sampled"]) == (400, 100)
    assert (said["rows"][0]["global_step"], said["rows"][-1]["global_step"]) == (0, 399)


def test_it_samples_runs_without_numbers_evenly(client, run):
    log(run, *({"global_step": step, "stage": "a", "is_best": step % 2 == 0} for step in range(1001)))
    shown = [row["global_step"] for row in body(read(client, run, query="?downsample=101"))["rows"]]
    assert len(shown) == 101
    assert {later - earlier for earlier, later in zip(shown, shown[1:], strict=False)} <= {9, 10, 11}


@BOTH
def test_it_ignores_a_downsample_that_is_not_needed(row, client, run):
    log_columns(run, range(100), loss=np.arange(100))
    assert body(read(client, run, row, "?downsample=100"))["sampled"] == 100


@BOTH
@pytest.mark.parametrize("downsample", ["99", "50001", "", "x", "1e3", "100.0", "-100"])
def test_returns_400_when_downsample_is_out_of_bounds(row, downsample, client, run):
    answer = client.get(f"/api/runs/{run.pk}/{row}?downsample={downsample}")
    assert answer.status_code == 400
    assert list(answer.json()) == ["detail"]
    assert "downsample" in answer.json()["detail"]


@BOTH
def test_it_streams_large_answers_of_any_run(row, client, run, monkeypatch):
    """The same text whether the table is kept or is too large to be."""
    events = [
        {"global_step": step, "loss": step / 7, "time": 50.0 + step, **({"word": f"w{step}"} if step % 3 else {})}
        for step in range(40_000)
    ]
    log(run, *events)
    kept = read(client, run, row)
    assert kept.streaming
    text = kept.getvalue()
    cache.clear()
    monkeypatch.setattr(cache, "max_bytes", 10)
    monkeypatch.setattr(rows, "LOAD_BYTES", 400_000)
    assert read(client, run, row).getvalue() == text
    if row == "metrics_step":
        import orjson

        found = {line.pop("global_step"): line for line in orjson.loads(text)["rows"]}
        assert found == expected_rows(events)


def test_a_short_answer_says_its_length(client, run):
    log(run, *EVENTS)
    answer = read(client, run)
    assert int(answer["Content-Length"]) == len(answer.content)


@BOTH
def test_it_asks_the_database_little(row, client, run, django_assert_num_queries):
    log(run, *EVENTS)
    read(client, run, row)
    # key, run, numbers of rows; the table is kept
    with django_assert_num_queries(3):
        read(client, run, row)


def test_it_knows_a_run_by_an_alias(client, run):
    from training.models import RunAlias

    log(run, *EVENTS)
    RunAlias.objects.create(alias="20260307_091502_4fe0b7", run=run)
    assert body(client.get("/api/runs/20260307_091502_4fe0b7/metrics_step"))["total"] == 3


@BOTH
def test_it_shows_browsers_of_other_origins_its_headers(row, client, run):
    answer = client.get(f"/api/runs/{run.pk}/{row}", headers={"Origin": "https://elsewhere.example"})
    exposed = {name.strip() for name in answer["Access-Control-Expose-Headers"].lower().split(",")}
    assert {"x-row-count", "x-total-count", "x-last-step"} <= exposed


@BOTH
def test_it_refuses_runs_that_are_not_there(row, client):
    make_sdk_run()
    assert_refuses_other_runs(client, f"/api/runs/{{}}/{row}")
