"""POST and GET /api/v1/runs/{id}/metrics (N7, N11)."""

import json
from typing import Any

import pytest
from django.test import Client

from tests.make import make_client, make_run, make_sdk_run
from tests.metrics import log, log_columns, rows_of
from tests.together import together
from training.models import MetricChunk, Run, Series
from training.tracking.metrics import cache, read_table

pytestmark = pytest.mark.django_db

BATCH = {"seq": 0, "steps": [1, 2], "times": [10.5, 11.5], "values": {"loss": [0.5, None], "stage": ["train", True]}}


@pytest.fixture(autouse=True)
def _nothing_cached() -> None:
    cache.clear()


@pytest.fixture
def run() -> Run:
    return make_sdk_run()


@pytest.fixture
def client(run: Run) -> Client:
    return make_client(run.owner)


def deliver(client: Client, run: Run, **changes: Any):
    body = {name: value for name, value in {**BATCH, **changes}.items() if value is not ...}
    return client.post(f"/api/v1/runs/{run.pk}/metrics", body, content_type="application/json")


def deliver_lines(client: Client, run: Run, lines: bytes, query: str = "?seq=0"):
    return client.post(f"/api/v1/runs/{run.pk}/metrics{query}", lines, content_type="application/x-ndjson")


def read(client: Client, run: Run, query: str = ""):
    return client.get(f"/api/v1/runs/{run.pk}/metrics{query}")


def test_it_stores_a_batch(run, client):
    answer = deliver(client, run)
    assert (answer.status_code, answer.json()) == (200, {"accepted": 2, "next_seq": 1, "duplicate": False})
    assert rows_of(read_table(run)) == {
        1: {"time": 10.5, "loss": 0.5, "stage": "train"},
        2: {"time": 11.5, "loss": None, "stage": True},
    }
    assert Series.objects.get(run=run).count == 2


def test_it_puts_the_stage_of_a_batch_in_each_row(run, client):
    deliver(client, run, values={"loss": [1, 2]}, stage="val")
    assert read_table(run).columns["stage"].tolist() == ["val", "val"]


def test_it_answers_a_repetition_and_stores_nothing(run, client):
    deliver(client, run)
    again = deliver(client, run, values={"loss": [7, 7]})
    assert (again.status_code, again.json()) == (200, {"accepted": 0, "next_seq": 1, "duplicate": True})
    assert read_table(run).columns["loss"][0] == 0.5
    assert Series.objects.get(run=run).count == 2


def test_returns_409_that_names_the_expected_number_when_there_is_a_gap(run, client):
    answer = deliver(client, run, seq=2)
    assert answer.status_code == 409
    assert "the next batch of run" in answer.json()["detail"]
    assert answer.json()["detail"].endswith("is number 0")
    assert not MetricChunk.objects.exists()


def test_a_batch_is_a_sign_of_life(run, client):
    assert run.heartbeat_at is None
    deliver(client, run)
    run.refresh_from_db()
    assert run.heartbeat_at is not None


def test_it_takes_what_an_ended_run_delivers_late(client, run):
    Run.objects.filter(pk=run.pk).update(status="failed")
    assert deliver(client, run).json()["accepted"] == 2


def test_it_takes_lines_of_an_sdk_and_passes_over_what_is_no_record(run, client):
    record = {"ts": 1.0, "type": "metrics", "data": {"global_step": 3, "loss": 0.25, "time": 5.0, "epoch": 1}}
    lines = (
        json.dumps(record)
        + "\nno json\n"
        + '{"type": "metrics", "data": {"step": 4, "loss": NaN}}\n{"type": "image"}\n'
    )
    answer = deliver_lines(client, run, lines.encode())
    assert answer.json() == {"accepted": 2, "next_seq": 1, "duplicate": False}
    assert rows_of(read_table(run)) == {3: {"time": 5.0, "loss": 0.25}, 4: {"time": None, "loss": None}}
    assert deliver_lines(client, run, lines.encode()).json()["duplicate"] is True


def test_lines_without_a_record_use_their_number_up(run, client):
    assert deliver_lines(client, run, b"\n").json() == {"accepted": 0, "next_seq": 1, "duplicate": False}


@pytest.mark.parametrize("query", ["", "?seq=-1", "?seq=x", "?seq="])
def test_returns_422_when_lines_have_no_number(query, run, client):
    answer = deliver_lines(client, run, b"{}", query)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["seq"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seq", ...),
        ("seq", -1),
        ("seq", "0"),
        ("seq", True),
        ("seq", 2**63),
        ("steps", ...),
        ("steps", []),
        ("steps", [1, 2.5]),
        ("steps", [1, True]),
        ("steps", [1, 2**63]),
        ("steps", list(range(10_001))),
        ("times", ...),
        ("times", [1.0]),
        ("times", [1.0, "2"]),
        ("values", ...),
        ("values", {}),
        ("values", [1]),
        ("values", {"loss": [1.0]}),
        ("values", {"loss": 1.0}),
        ("values", {"loss": [1.0, "high"]}),
        ("values", {"loss": [1.0, [2.0]]}),
        ("values", {"loss": [{}, {}]}),
        ("values", {"": [1, 2]}),
        ("values", {"n" * 256: [1, 2]}),
        ("values", {"a\0": [1, 2]}),
        ("values", {"step": [1, 2]}),
        ("values", {"global_step": [1, 2]}),
        ("values", {"word": ["a", "b" * 4097]}),
        ("stage", 5),
        ("stage", ["a"]),
        ("stage", "s" * 4097),
    ],
)
def test_returns_422_when_a_value_is_refused(field, value, run, client):
    answer = deliver(client, run, **{"values": {"loss": [1, 2]}, field: value})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])
    run.refresh_from_db()
    assert (run.next_seq, MetricChunk.objects.exists()) == (0, False)


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"seq": NaN}'])
def test_returns_400_when_the_body_is_no_json(body, run, client):
    answer = client.post(f"/api/v1/runs/{run.pk}/metrics", body, content_type="application/json")
    assert answer.status_code == 400


def test_returns_413_when_the_body_is_too_large(run, client):
    assert deliver_lines(client, run, b"x" * (8 * 1024**2 + 1)).status_code == 413


def test_it_takes_more_than_other_bodies_may_have(run, client):
    rows = 10_000
    values = {f"m{n}": [0.123456789] * rows for n in range(20)}
    answer = deliver(client, run, steps=list(range(rows)), times=[1.5] * rows, values=values)
    assert answer.json()["accepted"] == rows


def test_returns_415_when_the_body_is_of_another_type(run, client):
    assert client.post(f"/api/v1/runs/{run.pk}/metrics", "x", content_type="text/plain").status_code == 415


def test_returns_422_when_there_are_too_many_lines(run, client):
    assert deliver_lines(client, run, b"{}\n" * 10_001).status_code == 422


@pytest.mark.parametrize("make", [deliver, read])
def test_returns_401_without_a_key(make, run):
    assert make(Client(), run).status_code == 401


def test_returns_403_when_the_run_is_somebody_elses(run):
    assert deliver(make_client(), run).status_code == 403
    assert deliver(make_client(scope="admin"), run).status_code == 200


def test_returns_403_when_the_key_only_reads(run):
    assert deliver(make_client(run.owner, scope="read"), run).status_code == 403


@pytest.mark.parametrize("make", [deliver, read])
def test_returns_404_when_there_is_no_such_run(make, run, client):
    Run.objects.filter(pk=run.pk).update(deleted_at=run.created_at)
    # What a script says of a run in the recycle bin is kept: the run may come back.
    assert make(client, run).status_code == (200 if make is deliver else 404)
    run.pk = "20200101_000000_000000"
    assert make(client, run).status_code == 404


def test_a_batch_costs_few_statements(run, client, django_assert_num_queries):
    deliver(client, run, values={"loss": [1, 2]})
    with django_assert_num_queries(13):  # key, scope, run; transaction: 2, number, groups, chunks: 5, series
        deliver(client, run, seq=1, values={"loss": [1, 2]})


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_with_one_number_one_is_stored(run):
    client = make_client(run.owner)
    said = [answer.json() for answer in together(*[lambda: deliver(client, run)] * 4)]
    assert sorted(it["duplicate"] for it in said) == [False, True, True, True]
    assert sum(it["accepted"] for it in said) == Series.objects.get(run=run).count == 2


def test_it_reads_columns(run, client):
    log(run, {"global_step": 2, "time": 5.0, "loss": float("inf")}, {"global_step": 1, "loss": 1.5, "stage": "x"})
    answer = read(client, run)
    assert answer.json() == {
        "steps": [1, 2],
        "times": [None, 5.0],
        "values": {"loss": [1.5, None], "stage": ["x", None]},
        "total": 2,
        "sampled": 2,
    }


def test_anybody_with_a_key_reads(run):
    assert read(make_client(scope="read"), run).json()["total"] == 0


def test_it_reads_the_names_that_are_asked_for_where_one_of_them_was_logged(run, client):
    log(run, *[{"global_step": step, "loss": step} for step in range(5)], {"global_step": 3, "val": 7, "word": "x"})
    assert read(client, run, "?names=val").json()["steps"] == [3]
    said = read(client, run, "?names=loss,val&names=other").json()
    assert (said["steps"], list(said["values"])) == ([0, 1, 2, 3, 4], ["loss", "val", "other"])
    assert said["values"]["other"] == [None] * 5
    assert read(client, run, "?names=word").json()["values"] == {"word": ["x"]}
    assert read(client, run, "?names=").json()["steps"] == []


@pytest.mark.parametrize(
    ("query", "steps"),
    [
        ("?range=2:4", [2, 3, 4]),
        ("?range=8:", [8, 9]),
        ("?range=:0", [0]),
        ("?range=:", list(range(10))),
        ("?range=5:1", []),
        ("?x=time&range=-3:-0.5", [3, 2, 1]),
        ("?x=time", list(range(9, -1, -1))),
        ("?points=2", [0, 9]),
    ],
)
def test_it_reads_a_range_in_the_order_of_x(query, steps, run, client):
    log(run, *[{"global_step": step, "time": float(-step), "loss": step} for step in range(10)])
    assert read(client, run, query).json()["steps"] == steps


def test_it_samples_what_is_more_than_the_points(run, client):
    log_columns(run, range(5000), loss=[1000.0 if step == 1234 else step % 7 for step in range(5000)])
    said = read(client, run, "?points=100").json()
    assert (said["total"], said["sampled"], len(said["steps"])) == (5000, 100, 100)
    assert {0, 1234, 4999} <= set(said["steps"])
    assert read(client, run).json()["sampled"] == 2000


@pytest.mark.parametrize(
    ("field", "query"),
    [
        ("points", "?points=1"),
        ("points", "?points=50001"),
        ("points", "?points=x"),
        ("x", "?x=epoch"),
        ("range", "?range=5"),
        ("range", "?range=a:b"),
        ("range", "?range=1.5:2"),
        ("range", "?x=time&range=nan:"),
        ("range", "?range=:9223372036854775808"),
        ("names", "?names=" + ",".join(map(str, range(1001)))),
    ],
)
def test_returns_422_when_a_parameter_is_refused(field, query, run, client):
    answer = read(client, run, query)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])


def test_reading_costs_few_statements(run, client, django_assert_num_queries):
    log_columns(run, range(10), loss=range(10))
    with django_assert_num_queries(6):  # key, its use, run, rows of the groups, their columns, the points
        read(client, run)
    with django_assert_num_queries(3):
        read(client, run)


def test_a_run_of_the_queue_takes_metrics_of_its_owner(client):
    run = make_run()
    assert deliver(make_client(run.owner), run).json()["accepted"] == 2
