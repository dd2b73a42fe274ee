"""GET /api/v1/tasks and /api/v1/tasks/{id} (N2)."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_gpu, make_lease, make_run, make_task, make_user
from training.models import TaskDependency

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader() -> Client:
    return make_client(scope="read")


def ids(client: Client, **query: object) -> list[int]:
    return [task["id"] for task in client.get("/api/v1/tasks", query).json()["results"]]


def test_it_lists_the_newest_first(reader):
    one, two = make_task(), make_task()
    assert ids(reader) == [two.pk, one.pk]


def test_it_shows_the_newest_run_with_its_gpus(reader):
    task = make_task(status="active")
    make_run(task, status="failed", created_at=timezone.now() - timedelta(minutes=1))
    newest = make_run(task)
    gpu = make_gpu(index=1)
    make_lease(newest, gpu)

    shown = reader.get(f"/api/v1/tasks/{task.pk}").json()["newest_run"]
    assert (shown["id"], shown["status"], shown["exit_code"]) == (newest.pk, "running", None)
    assert shown["gpus"] == [{"index": 1, "uuid": gpu.uuid, "energy_wh": 0.0}]


def test_it_counts_the_place_in_line_by_priority_then_age(reader):
    now = timezone.now()
    late = make_task(queued_at=now)
    early = make_task(queued_at=now - timedelta(hours=1))
    urgent = make_task(queued_at=now + timedelta(hours=1), priority=3)
    places = {task["id"]: task["position"] for task in reader.get("/api/v1/tasks").json()["results"]}
    assert places == {urgent.pk: 1, early.pk: 2, late.pk: 3}


def test_it_counts_the_place_of_one_task_and_of_a_part_of_the_line(reader):
    line = [make_task(name=f"t{number}") for number in range(6)]
    assert reader.get(f"/api/v1/tasks/{line[3].pk}").json()["position"] == 4
    part = reader.get("/api/v1/tasks", {"page_size": 2}).json()["results"]
    assert [(task["id"], task["position"]) for task in part] == [(line[5].pk, 6), (line[4].pk, 5)]


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "held"},
        {"status": "active", "pending_runs": 0},
        {"status": "completed", "pending_runs": 0},
        {"not_before": timezone.now() + timedelta(hours=1)},
    ],
)
def test_it_gives_no_place_to_what_does_not_stand_in_line(fields, reader):
    other, task = make_task(), make_task(**fields)
    assert reader.get(f"/api/v1/tasks/{task.pk}").json()["position"] is None
    assert reader.get(f"/api/v1/tasks/{other.pk}").json()["position"] == 1


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({"status": "held"}, {"status": "held"}),
        ({"project": "digits"}, {"project": "digits"}),
        ({"source": "jobs"}, {"source": "jobs"}),
        ({"pool": "big"}, {"pool": "big"}),
        ({"queue": "night"}, {"queue": "night"}),
        ({"tag": "b"}, {"tags": ["a", "b"]}),
        ({"tag": 'qu"ote'}, {"tags": ['qu"ote']}),
        ({"tag": "é"}, {"tags": ["é"]}),
        ({"label": "team=vision"}, {"labels": [{"key": "team", "value": "vision"}, {"key": "b", "value": ""}]}),
        ({"label": "q=a=b'\"é"}, {"labels": [{"key": "q", "value": "a=b'\"é"}]}),
        ({"array": "array-abcdefghijkl"}, {"array_id": "array-abcdefghijkl", "array_index": 3}),
        ({"job_id": "job-abcdefghijkl"}, {"job_id": "job-abcdefghijkl"}),
        ({"search": "RESN"}, {"name": "my resnet"}),
        ({"created_before": "2020-01-02T00:00:00Z"}, {"created_at": "2020-01-01T00:00:00Z"}),
        ({"created_after": "2050-01-01T00:00:00Z"}, {"created_at": "2050-01-01T00:00:00Z"}),
    ],
)
def test_it_filters(query, fields, reader):
    make_task(tags=["bb", ", "], labels=[{"key": "team", "value": "text"}], array_id="array-abc", array_index=0)
    found = make_task(**fields)
    assert ids(reader, **query) == [found.pk]


def test_it_filters_by_several_statuses_and_by_owner(reader):
    ada = make_user("ada")
    held, waiting = make_task(ada, status="held"), make_task(ada)
    make_task(ada, status="failed")
    make_task(status="held")
    assert ids(reader, status=["held", "waiting"], owner="ada") == [waiting.pk, held.pk]


@pytest.mark.parametrize("query", ["status=lost", "source=x", "created_after=yesterday", "ordering=env", "page_size=0"])
def test_returns_422_when_a_filter_is_refused(query, reader):
    answer = reader.get(f"/api/v1/tasks?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["errors"]


def test_it_pages_and_counts(reader):
    made = [make_task().pk for _ in range(5)]
    first = reader.get("/api/v1/tasks?page_size=2&count=1").json()
    second = reader.get(first["next"]).json()
    assert first["count"] == 5
    assert [task["id"] for task in first["results"] + second["results"]] == made[:0:-1]
    assert reader.get(second["previous"]).json()["results"] == first["results"]


@pytest.mark.parametrize("name", ["id", "created_at", "queued_at", "started_at", "ended_at", "priority", "name"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_it_shows_each_task_once_in_every_ordering(name, sign, reader):
    made = {make_task(priority=number % 2, started_at=timezone.now() if number % 3 else None).pk for number in range(5)}
    seen, url = [], f"/api/v1/tasks?page_size=2&ordering={sign}{name}"
    while url:
        page = reader.get(url).json()
        seen += [task["id"] for task in page["results"]]
        url = page["next"]
    assert (len(seen), set(seen)) == (5, made)


def test_it_shows_values_of_the_environment_to_the_owner_and_administrators_only():
    owner = make_user()
    task = make_task(owner, env={"TOKEN": "secret"})
    url = f"/api/v1/tasks/{task.pk}"

    assert make_client(owner).get(url).json()["env"] == {"TOKEN": "secret"}
    assert make_client(scope="admin").get(url).json()["env"] == {"TOKEN": "secret"}
    for stranger in (make_client(), make_client(scope="read")):
        assert stranger.get(url).json()["env"] == {"TOKEN": None}
        assert b"secret" not in stranger.get("/api/v1/tasks").content


def test_it_lists_in_six_queries_however_many(reader, django_assert_num_queries):
    for _ in range(3):
        make_task()
        run = make_run()
        make_lease(run)
    reader.get("/api/v1/tasks")
    with django_assert_num_queries(6):  # key, page, line (2), newest runs, their GPUs
        assert len(ids(reader)) == 6


def test_it_shows_what_tasks_depend_on_with_one_query_more(reader, django_assert_num_queries):
    first, second = make_task(), make_task(status="completed")
    task = make_task(unmet=1)
    TaskDependency.objects.create(task=task, needs=first)
    TaskDependency.objects.create(task=task, needs=second, condition="any", is_met=True)
    reader.get("/api/v1/tasks")
    with django_assert_num_queries(4):  # key, page, line, dependencies
        shown = reader.get("/api/v1/tasks").json()["results"]
    assert [one["depends_on"] for one in shown] == [
        [
            {"task": first.pk, "condition": "ok", "met": False},
            {"task": second.pk, "condition": "any", "met": True},
        ],
        [],
        [],
    ]


def test_it_hides_deleted_tasks(reader):
    task = make_task(deleted_at=timezone.now())
    assert ids(reader) == []
    assert reader.get(f"/api/v1/tasks/{task.pk}").status_code == 404


@pytest.mark.parametrize("pk", ["999", str(10**30)])
def test_returns_404_when_unknown(pk, reader):
    answer = reader.get(f"/api/v1/tasks/{pk}")
    assert (answer.status_code, answer.json()) == (404, {"detail": f"task {pk} does not exist"})


def test_returns_401_without_a_key():
    task = make_task()
    assert Client().get("/api/v1/tasks").status_code == 401
    assert Client().get(f"/api/v1/tasks/{task.pk}").status_code == 401


def test_it_is_browsable(client):
    make_task(name="shown in a page")
    client.force_login(make_user())
    page = client.get("/api/v1/tasks", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "shown in a page" in page.content.decode()


@pytest.mark.parametrize(
    ("path", "title"),
    [("tasks", "Tasks"), ("processes", "Processes"), ("gpus", "GPUs"), ("api-keys", "API keys"), ("tasks/{}", "Task")],
)
def test_its_browsable_page_has_a_title_for_people(client, path, title):
    client.force_login(make_user(is_admin=True))
    page = client.get(f"/api/v1/{path.format(make_task().pk)}", headers={"Accept": "text/html"}).content.decode()
    assert f"<h1>{title}</h1>" in page
