"""Rows in pieces: the same whether the run is kept in memory or read as it is needed."""

import numpy as np
import pytest

from tests.make import make_sdk_run
from tests.metrics import expected_rows, log, rows_of
from training.tracking.metrics import cache, open_rows, rows, sampled
from training.tracking.metrics.rows import KeptRows, StoredRows

pytestmark = pytest.mark.django_db
EVENTS = [
    *({"global_step": step, "time": 100.0 + step, "loss": 1 / step, "stage": "train"} for step in range(1, 40)),
    *({"global_step": step, "accuracy": step / 40, "best": step > 20} for step in range(5, 45, 5)),
    {"global_step": 7, "loss": 9.0, "time": 50.0},
]


@pytest.fixture(params=["kept", "stored"])
def opened(request, monkeypatch):
    """`open_rows`, of runs that fit into the cache or of runs that do not; pieces are read three rows at a time."""
    if request.param == "stored":
        monkeypatch.setattr(cache, "max_bytes", 10)
        monkeypatch.setattr(rows, "LOAD_BYTES", 3 * 8 * 6)
    kind = {"kept": KeptRows, "stored": StoredRows}[request.param]

    def open_one(*arguments):
        found = open_rows(*arguments)
        assert isinstance(found, kind)
        return found

    return open_one


@pytest.fixture
def run():
    run = make_sdk_run()
    for event in EVENTS:
        log(run, event)
    return run


def together(pieces):
    found = {}
    for piece in pieces:
        found |= rows_of(piece)
    return found


def test_it_gives_all_rows_in_pieces(opened, run):
    found = opened(run)
    assert (found.names, found.numeric) == (["accuracy", "best", "loss", "stage"], ["accuracy", "loss"])
    pieces = list(found.pieces(None, 2))
    assert {len(piece) for piece in pieces} == {1, 2} or {len(piece) for piece in pieces} == {2}
    assert together(pieces) == expected_rows(EVENTS)


def test_it_gives_the_rows_of_some_steps_and_names(opened, run):
    found = opened(run, ["stage", "nothing", "accuracy"], (7, 12))
    assert found.numeric == ["accuracy"]
    assert found.steps.tolist() == [7, 8, 9, 10, 11, 12]
    assert together(found.pieces(None, 4)) == {
        step: {
            "time": 50.0 if step == 7 else 100.0 + step,
            "stage": "train",
            "nothing": None,
            "accuracy": 0.25 if step == 10 else None,
        }
        for step in range(7, 13)
    }


def test_it_gives_rows_in_any_order(opened, run):
    found = opened(run)
    places = np.array([39, 3, 17, 6])
    steps = [step for piece in found.pieces(places, 2) for step in piece.steps.tolist()]
    assert steps == found.steps[places].tolist()


def test_it_gives_columns_in_an_order(opened, run):
    found = opened(run)
    order = np.argsort(-found.steps)
    accuracy, loss = found.columns(["accuracy", "loss"], order)
    assert np.nanmax(accuracy) == accuracy[0] == 1.0
    assert loss[np.flatnonzero(found.steps[order] == 7)[0]] == 9.0


def test_it_samples_the_same_rows_from_both(run, monkeypatch):
    kept = open_rows(run)
    monkeypatch.setattr(cache, "max_bytes", 10)
    monkeypatch.setattr(rows, "LOAD_BYTES", 1)
    stored = open_rows(run)
    for points in (2, 3, 8, 20):
        places = sampled(kept, kept.steps, points)
        assert len(places) == points
        assert sampled(stored, stored.steps, points).tolist() == places.tolist()


def test_it_sees_nothing_that_is_logged_meanwhile(opened, run):
    found = opened(run)
    count = len(found.steps)
    pieces = found.pieces(None, 5)
    first = next(pieces)
    log(run, {"global_step": 1000, "loss": 1.0})
    log(run, {"global_step": 2000, "new": 1.0})
    assert len(first) + sum(map(len, pieces)) == count


def test_it_gives_nothing_of_a_run_that_logged_nothing(opened):
    found = open_rows(make_sdk_run())
    assert (found.names, len(found.steps), list(found.pieces(None, 5))) == ([], 0, [])
