"""GET /api/v1/processes and /api/v1/processes/{id} (N13)."""

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_node, make_process, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader() -> Client:
    return make_client(scope="read")


def ids(client: Client, **query: object) -> list[int]:
    return [row["id"] for row in client.get("/api/v1/processes", query).json()["results"]]


def test_it_shows_a_process(reader):
    run = make_run(node=make_node("box"))
    process = make_process(run, pid=4711, supervisor_pid=4710, exit_signal=9, ended_at=timezone.now(), cpu_s=1.5)
    shown = reader.get(f"/api/v1/processes/{process.pk}").json()
    assert (shown["run"], shown["task"], shown["node"], shown["rank"]) == (run.pk, run.task_id, "box", 0)
    assert (shown["pid"], shown["supervisor_pid"], shown["exit_signal"], shown["cpu_s"]) == (4711, 4710, 9, 1.5)


def test_it_filters_by_run_task_and_whether_it_lives(reader):
    alive, ended = make_process(), make_process(ended_at=timezone.now())
    assert ids(reader) == [ended.pk, alive.pk]
    assert ids(reader, run=alive.run_id) == ids(reader, task=alive.run.task_id) == [alive.pk]
    assert ids(reader, active="true") == [alive.pk]
    assert ids(reader, active="0") == [ended.pk]


def test_returns_422_when_a_filter_is_refused(reader):
    assert "active" in reader.get("/api/v1/processes?active=maybe").json()["errors"]


def test_it_lists_in_two_queries_however_many(reader, django_assert_num_queries):
    for _ in range(3):
        make_process()
    ids(reader)
    with django_assert_num_queries(2):  # key, page
        assert len(ids(reader)) == 3


def test_returns_404_when_unknown(reader):
    assert reader.get("/api/v1/processes/999").status_code == 404


def test_returns_401_without_a_key():
    assert Client().get("/api/v1/processes").status_code == 401
    assert Client().get(f"/api/v1/processes/{make_process().pk}").status_code == 401


def test_returns_405_when_it_is_written():
    assert make_client(scope="admin").post("/api/v1/processes").status_code == 405
