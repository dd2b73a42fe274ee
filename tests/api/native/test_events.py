"""GET /api/v1/events and /api/v1/events/{id} (N13)."""

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_event, make_node, make_run, make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader() -> Client:
    return make_client(scope="read")


def ids(client: Client, **query: object) -> list[int]:
    return [row["id"] for row in client.get("/api/v1/events", query).json()["results"]]


def test_it_shows_an_event(reader):
    run = make_run()
    event = make_event(run.task, run=run, node=make_node("box"), type="Warning", reason="LogLost", count=3)
    shown = reader.get(f"/api/v1/events/{event.pk}").json()
    assert (shown["task"], shown["run"], shown["node"]) == (run.task_id, run.pk, "box")
    assert (shown["type"], shown["reason"], shown["count"]) == ("Warning", "LogLost", 3)
    assert shown["created_at"].endswith("Z")


def test_it_filters(reader):
    run = make_run()
    about_run = make_event(run.task, run=run, reason="Started")
    warning = make_event(make_task(), type="Warning", reason="Failed")
    assert ids(reader) == [warning.pk, about_run.pk]
    assert ids(reader, run=run.pk) == ids(reader, task=run.task_id) == ids(reader, reason="Started") == [about_run.pk]
    assert ids(reader, type="Warning") == [warning.pk]


def test_returns_422_when_a_filter_is_refused(reader):
    assert "type" in reader.get("/api/v1/events?type=Bad").json()["errors"]


def test_it_shows_events_of_the_server_and_hides_those_of_deleted_tasks(reader):
    make_event(make_task(deleted_at=timezone.now()))
    server = make_event(reason="ProcessRestarted")
    assert ids(reader) == [server.pk]


def test_it_lists_in_two_queries_however_many(reader, django_assert_num_queries):
    for _ in range(3):
        make_event(make_task())
    ids(reader)
    with django_assert_num_queries(2):  # key, page
        assert len(ids(reader)) == 3


def test_returns_404_when_unknown(reader):
    assert reader.get("/api/v1/events/999").status_code == 404


def test_returns_401_without_a_key():
    assert Client().get("/api/v1/events").status_code == 401
    assert Client().get(f"/api/v1/events/{make_event().pk}").status_code == 401
