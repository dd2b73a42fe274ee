"""R48, R62, R70, R75, R76: runs as experiments: listed, looked after, tagged and found."""

import subprocess
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.api.runicorn.binned import UNKNOWN, post
from tests.api.runicorn.refusals import assert_refuses_other_runs
from tests.make import make_client, make_run, make_sdk_run, make_user
from tests.together import together
from training.execution.identity import boot_id
from training.models import Run, RunProcess

pytestmark = pytest.mark.django_db
LIST, SEARCH, TAG, CHECK = "/api/experiments", "/api/experiments/search", "/api/experiments/tag", "/api/status/check"


@pytest.fixture
def client() -> Client:
    return make_client(scope="read")


def ids(client: Client, path: str, **query: Any) -> list[str]:
    answer = client.get(path, query)
    assert answer.status_code == 200, answer.content
    return [item["id"] for item in answer.json()["experiments"]]


def test_it_lists_runs_as_the_python_client_reads_them(client):
    run = make_sdk_run(summary={"acc": 0.5}, tags=["a"])
    said = client.get(LIST).json()
    assert said == {"experiments": [client.get(f"/api/runs/{run.pk}").json()], "total": 1}
    assert said["experiments"][0]["summary"] == {"acc": 0.5}


@pytest.mark.database
def test_it_filters_and_cuts_and_counts_all(client):
    owner, now = make_user(), timezone.now()
    a, b, c = (
        make_sdk_run(owner, project="p", name=name, status=status, created_at=now - timedelta(hours=hours))
        for name, status, hours in (("n", "finished", 1), ("", "failed", 2), ("n", "running", 3))
    )
    make_sdk_run(owner, project="p", deleted_at=now)
    make_sdk_run(owner, project="q", created_at=now - timedelta(hours=4))
    assert ids(client, LIST, project="p") == [a.pk, b.pk, c.pk]
    assert ids(client, LIST, project="p", name="n") == [a.pk, c.pk]
    assert ids(client, LIST, name="default") == [b.pk] + [Run.objects.get(project="q").pk]
    assert ids(client, LIST, status="finished,failed") == [a.pk, b.pk]
    assert ids(client, LIST, limit=2) == [a.pk, b.pk]
    assert ids(client, LIST, offset=1, project="p") == [b.pk, c.pk]
    said = client.get(LIST, {"limit": 1, "offset": 1}).json()
    assert ([it["id"] for it in said["experiments"]], said["total"]) == ([b.pk], 4)


@pytest.mark.parametrize("query", ["status=done", "limit=0", "limit=x", "offset=-1", "offset=1.5", "project=%00"])
def test_returns_400_when_the_query_is_bad(client, query):
    assert client.get(f"{LIST}?{query}").status_code == 400


def test_progress_says_that_it_has_none(client):
    assert client.get(f"/api/runs/{make_run().pk}/progress").json() == {"available": False, "status": "unknown"}
    assert_refuses_other_runs(client, "/api/runs/{}/progress")


def test_it_adds_tags_or_replaces_them():
    run = make_run(tags=["a", "b"])
    owner = make_client(run.owner)
    assert post(owner, TAG, {"run_id": run.pk, "tags": ["b", "c"]}).json() == {"success": True}
    assert Run.objects.get().tags == ["a", "b", "c"]
    post(owner, TAG, {"run_id": run.pk, "tags": ["d"], "append": False})
    assert Run.objects.get().tags == ["d"]
    post(owner, TAG, {"run_id": run.pk, "tags": [], "append": False})
    assert Run.objects.get().tags == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"tags": ["x"]}, 400), ({"run_id": "x", "tags": ["x"]}, 400), ({"run_id": UNKNOWN, "tags": ["x"]}, 404),
        ({"tags": "x"}, 400), ({}, 400), ({"tags": [1]}, 400), ({"tags": ["x"], "append": "no"}, 400),
        ({"tags": ["x" * 101]}, 400), ({"tags": ["x"] * 101}, 400), ({"tags": [""]}, 400),
    ],
)  # fmt: skip
def test_tagging_refuses_bad_bodies(body, status):
    run = make_run(tags=["a"])
    is_about_tags = status == 400 and len(body) and body != {"tags": ["x"]} and "run_id" not in body
    answer = post(make_client(run.owner), TAG, {"run_id": run.pk, **body} if is_about_tags else body)
    assert answer.status_code == status, answer.content
    assert isinstance(answer.json()["detail"], str)
    assert Run.objects.get().tags == ["a"]


def test_tagging_is_for_the_owner():
    body = {"run_id": make_run().pk, "tags": ["x"]}
    assert post(Client(), TAG, body).status_code == 401
    assert post(make_client(scope="read"), TAG, body).status_code == 403
    assert post(make_client(), TAG, body).status_code == 403
    assert post(make_client(scope="admin"), TAG, body).status_code == 200


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_two_tags_at_once_none_is_lost():
    run = make_run()
    client = make_client(run.owner)
    together(*[lambda tag=tag: post(client, TAG, {"run_id": run.pk, "tags": [tag]}) for tag in ("a", "b")])
    assert sorted(Run.objects.get().tags) == ["a", "b"]


@pytest.mark.database
def test_it_finds_runs_by_project_tags_and_text(client):
    owner, now = make_user(), timezone.now()
    a = make_sdk_run(owner, project="p", name="Residual", tags=["x", "y"], created_at=now - timedelta(hours=1))
    b = make_sdk_run(owner, project="q", notes="a RESIDUAL net", tags=["x"], created_at=now - timedelta(hours=2))
    gone = make_sdk_run(owner, project="q", name="residual", deleted_at=now, created_at=now - timedelta(hours=3))
    assert ids(client, SEARCH, text="residual") == [a.pk, b.pk]
    assert ids(client, SEARCH, tags="x") == [a.pk, b.pk]
    assert ids(client, SEARCH, tags="x,y", text="re") == [a.pk]
    assert ids(client, SEARCH, project="q") == [b.pk]
    assert ids(client, SEARCH, archived="true", text="residual") == [gone.pk]
    assert ids(client, SEARCH) == [a.pk, b.pk]
    assert client.get(SEARCH, {"archived": "maybe"}).status_code == 400
    assert client.get(SEARCH, {"tags": ",".join(map(str, range(101)))}).status_code == 400


def test_it_looks_whether_running_runs_are_there():
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    gone, remote = make_sdk_run(host=""), make_sdk_run(host="elsewhere")
    for run in (gone, remote):
        RunProcess.objects.create(run=run, rank=0, pid=process.pid, start_ticks=1, boot_id=boot_id())
    client = make_client()
    said = post(client, CHECK, {}).json()
    assert said["checked"] == 2
    assert client.get(f"/api/runs/{remote.pk}").json()["status"] == "running"
    assert set(said) == {"checked", "updated", "message"}


def test_these_rows_need_a_key():
    for path in (LIST, SEARCH):
        assert Client().get(path).status_code == 401
    assert post(Client(), CHECK, {}).status_code == 401
    assert post(make_client(scope="read"), CHECK, {}).status_code == 403


@pytest.mark.parametrize(("path", "count"), [(LIST, 3), (LIST + "?limit=1", 4), (SEARCH + "?tags=x", 3)])
def test_their_queries_do_not_grow(client, django_assert_num_queries, path, count):
    for _ in range(3):
        make_run(tags=["x"])
    client.get(path)
    with django_assert_num_queries(count):
        client.get(path)
