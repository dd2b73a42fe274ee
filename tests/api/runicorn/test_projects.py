"""R40-R42: projects, the names in one, the runs of a name."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_sdk_run, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return make_client(scope="read")


@pytest.mark.database
def test_it_lists_projects_by_name_with_their_last_change(client):
    owner, now = make_user(), timezone.now()
    for project, hours in (("vision", 2), ("vision", 1), ("Ärger", 3), ("audio", 4)):
        make_sdk_run(owner, project=project, updated_at=now - timedelta(hours=hours))
    make_sdk_run(owner, project="vision", updated_at=now, deleted_at=now)
    make_sdk_run(owner, project="gone", deleted_at=now)
    said = client.get("/api/projects").json()
    assert said["projects"] == ["audio", "vision", "Ärger"]
    assert said["items"] == [
        {"name": name, "experiment_count": count, "latest_update": (now - timedelta(hours=hours)).timestamp()}
        for name, count, hours in (("audio", 1, 4), ("vision", 2, 1), ("Ärger", 1, 3))
    ]


def test_there_are_none_at_first(client):
    assert client.get("/api/projects").json() == {"projects": [], "items": []}


@pytest.mark.database
def test_it_lists_the_names_in_a_project(client):
    owner = make_user()
    for name in ("b", "a", "b", "", "ö x"):
        make_sdk_run(owner, project="vision", name=name)
    make_sdk_run(owner, project="vision", name="gone", deleted_at=timezone.now())
    make_sdk_run(owner, project="audio", name="other")
    assert client.get("/api/projects/vision/names").json() == {"names": ["a", "b", "default", "ö x"]}
    assert client.get("/api/projects/nobody/names").json() == {"names": []}


def test_it_lists_the_runs_of_a_name_the_newest_first(client):
    owner, now = make_user(), timezone.now()
    old = make_sdk_run(owner, project="my project", name="ö 1%", created_at=now - timedelta(hours=1))
    new = make_sdk_run(owner, project="my project", name="ö 1%", created_at=now)
    make_sdk_run(owner, project="my project", name="other")
    make_sdk_run(owner, project="my project", name="ö 1%", deleted_at=now)
    path = "/api/projects/my%20project/names/%C3%B6%201%25/runs"
    assert client.get(path).json() == [run for run in client.get("/api/runs").json() if run["id"] in (old.pk, new.pk)]
    assert [run["id"] for run in client.get(path).json()] == [new.pk, old.pk]
    assert client.get("/api/projects/my%20project/names/nobody/runs").json() == []


def test_a_run_without_a_name_goes_by_default(client):
    owner = make_user()
    runs = {make_sdk_run(owner, project="p", name=name).pk for name in ("", "default")}
    assert {run["id"] for run in client.get("/api/projects/p/names/default/runs").json()} == runs


@pytest.mark.parametrize(
    "path",
    [
        "a%2Fb/names", "a%5Cb/names", "../names", "a..b/names", "x" * 101 + "/names", "a%2Fb/names/n/runs",
        "p/names/a%2Fb/runs", "p/names/a%5Cb/runs", "p/names/../runs", "p/names/" + "x" * 101 + "/runs",
    ],
)  # fmt: skip
def test_returns_400_for_what_is_no_name(client, path):
    answer = client.get(f"/api/projects/{path}")
    assert answer.status_code == 400
    assert "is not a name" in answer.json()["detail"]


def test_it_needs_a_key():
    for path in ("", "/p/names", "/p/names/n/runs"):
        assert Client().get(f"/api/projects{path}").status_code == 401


@pytest.mark.parametrize(("path", "count"), [("", 2), ("/p/names", 2), ("/p/names/n/runs", 3)])
def test_its_queries_do_not_grow(client, django_assert_num_queries, path, count):
    owner = make_user()
    for _ in range(3):
        make_sdk_run(owner, project="p", name="n")
    client.get("/api/projects")
    with django_assert_num_queries(count):
        client.get(f"/api/projects{path}")
