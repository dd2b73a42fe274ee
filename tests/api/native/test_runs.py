"""GET /api/v1/runs, GET and PATCH /api/v1/runs/{id} (N5)."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import (
    make_client,
    make_gpu,
    make_lease,
    make_node,
    make_run,
    make_sdk_run,
    make_series,
    make_task,
    make_user,
)
from training.paths import run_dir

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader() -> Client:
    return make_client(scope="read")


def ids(client: Client, **query: object) -> list[str]:
    return [run["id"] for run in client.get("/api/v1/runs", query).json()["results"]]


def change(client: Client, pk: str, **body: object):
    return client.patch(f"/api/v1/runs/{pk}", body, content_type="application/json")


def test_it_shows_a_run_with_its_place_and_numbers(reader):
    start = timezone.now() - timedelta(minutes=2)
    task = make_task(make_user("ada"), project="digits", name="first")
    run = make_run(
        task, status="finished", node=make_node("box"), started_at=start, ended_at=start + timedelta(seconds=90)
    )
    gpu = make_gpu(index=2)
    make_lease(run, gpu, released_at=timezone.now())
    make_series(run, "loss")
    make_series(run, "acc", count=1, first=None, last=None, min=None, max=None, latest_step=None)
    shown = reader.get(f"/api/v1/runs/{run.pk}").json()

    assert (shown["task"], shown["owner"], shown["node"]) == (task.pk, "ada", "box")
    assert (shown["status"], shown["exit_class"], shown["exit_code"]) == ("finished", "ok", 0)
    assert shown["gpus"] == [{"index": 2, "uuid": gpu.uuid, "energy_wh": 0.0}]
    assert shown["energy_wh"] == 0.0
    assert shown["duration_s"] == 90
    assert shown["run_dir"] == str(run_dir("digits", "first", run.pk))
    assert list(shown["summary"]) == ["acc", "loss"]
    assert shown["summary"]["loss"] == {
        "count": 3, "first": 2.0, "last": 0.5, "min": 0.5, "max": 2.0, "latest_step": 2,
    }  # fmt: skip


def test_it_counts_the_duration_of_a_run_under_way_until_now(reader):
    run = make_run(started_at=timezone.now() - timedelta(seconds=30))
    assert 30 <= reader.get(f"/api/v1/runs/{run.pk}").json()["duration_s"] < 90
    starting = make_run(status="starting")
    assert reader.get(f"/api/v1/runs/{starting.pk}").json()["duration_s"] is None


def test_it_lists_runs_of_every_door_newest_first(reader):
    queued = make_run(created_at=timezone.now() - timedelta(minutes=1))
    outside = make_sdk_run()
    assert ids(reader) == [outside.pk, queued.pk]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({"status": "failed"}, {"status": "failed"}),
        ({"exit_class": "oom"}, {"status": "failed", "exit_class": "oom"}),
        ({"project": "digits"}, {"project": "digits"}),
        ({"source": "runicorn"}, {"source": "runicorn"}),
        ({"tag": "b"}, {"tags": ["a", "b"]}),
        ({"search": "RESN"}, {"name": "my resnet"}),
        ({"created_after": "2050-01-01T00:00:00Z"}, {"created_at": "2050-01-01T00:00:00Z"}),
    ],
)
def test_it_filters(query, fields, reader):
    make_run(tags=["bb"])
    found = make_run(**fields)
    assert ids(reader, **query) == [found.pk]


def test_it_filters_by_task_owner_and_node(reader):
    make_run()
    run = make_run(make_task(make_user("ada")), node=make_node("box"))
    assert ids(reader, task=run.task_id) == ids(reader, owner="ada") == ids(reader, node="box") == [run.pk]


@pytest.mark.parametrize("query", ["status=lost", "exit_class=x", "task=x", "ordering=config"])
def test_returns_422_when_a_filter_is_refused(query, reader):
    assert query.partition("=")[0] in reader.get(f"/api/v1/runs?{query}").json()["errors"]


def test_it_pages_runs_of_the_same_instant(reader):
    now = timezone.now()
    made = sorted((make_run(created_at=now).pk for _ in range(5)), reverse=True)
    seen, url = [], "/api/v1/runs?page_size=2"
    while url:
        page = reader.get(url).json()
        seen += [run["id"] for run in page["results"]]
        url = page["next"]
    assert seen == made


def test_it_lists_in_four_queries_however_many(reader, django_assert_num_queries):
    for _ in range(3):
        run = make_run()
        make_lease(run)
        make_series(run)
    reader.get("/api/v1/runs")
    with django_assert_num_queries(4):  # key, page, GPUs, series
        assert len(ids(reader)) == 3


def test_it_renames_tags_and_notes_and_keeps_the_directory():
    run = make_run(name="")
    client = make_client(run.owner)
    before = client.get(f"/api/v1/runs/{run.pk}").json()
    for name in ("one", "two"):
        said = change(client, run.pk, name=name, tags=["best"], notes="keep it").json()
        assert (said["name"], said["tags"], said["notes"]) == (name, ["best"], "keep it")
        assert said["run_dir"] == before["run_dir"]


def test_it_ignores_fields_that_cannot_be_changed():
    run = make_run()
    assert change(make_client(run.owner), run.pk, status="finished", project="x").json()["status"] == "running"


@pytest.mark.parametrize("body", [{"name": 1}, {"tags": "a"}, {"notes": None}, {"notes": "x" * 100_001}])
def test_returns_422_when_a_value_is_refused(body):
    run = make_run()
    answer = change(make_client(run.owner), run.pk, **body)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, list(body))


def test_returns_403_when_the_run_is_somebody_elses(reader):
    run = make_run()
    assert change(make_client(), run.pk, name="mine").status_code == 403
    assert change(reader, run.pk, name="mine").status_code == 403


def test_it_lets_an_administrator_change_any_run():
    assert change(make_client(scope="admin"), make_run().pk, notes="seen").json()["notes"] == "seen"


def test_returns_404_when_unknown_or_in_the_recycle_bin():
    run = make_run(deleted_at=timezone.now())
    client = make_client(run.owner)
    for pk in ("20200101_000000_aaaaaa", run.pk):
        assert client.get(f"/api/v1/runs/{pk}").status_code == 404
        assert change(client, pk, name="x").status_code == 404
    assert ids(client) == []


def test_returns_401_without_a_key():
    run = make_run()
    assert Client().get("/api/v1/runs").status_code == 401
    assert Client().get(f"/api/v1/runs/{run.pk}").status_code == 401
    assert change(Client(), run.pk, name="x").status_code == 401
