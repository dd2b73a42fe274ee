"""R18: runs by any filter, order and page."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_process, make_run, make_sdk_run, make_task, make_user, make_version
from training.models import Run, RunArtifact, Usage

pytestmark = pytest.mark.django_db
PATH = "/api/v2/experiments"
NOON = datetime(2026, 3, 7, 12, tzinfo=UTC)


@pytest.fixture
def client() -> Client:
    return make_client(scope="read")


def ask(client: Client, **query: Any) -> dict[str, Any]:
    answer = client.get(PATH, query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def ids(client: Client, **query: Any) -> list[str]:
    said = ask(client, **query)
    assert said["total"] == len(said["experiments"])
    return [item["id"] for item in said["experiments"]]


@pytest.mark.database
def test_it_shows_runs_with_exactly_these_fields(client):
    run = make_run(
        make_task(project="vision", name="resnet"), status="failed", tags=["a", "ü"], best_metric_name="acc",
        best_metric_value=0.5,
    )  # fmt: skip
    make_process(run, pid=9)
    RunArtifact.objects.create(run=run, version=make_version(), usage=Usage.PRODUCED)
    said = ask(client)
    assert said.pop("query_time_ms") > 0
    events = str(run.directory / "events.jsonl")
    item = {
        "id": run.pk, "run_dir": str(run.directory), "created_time": run.created_at.timestamp(), "status": "failed",
        "pid": 9, "best_metric_value": 0.5, "best_metric_name": "acc", "project": "vision", "name": "resnet",
        "artifacts_created_count": 1, "artifacts_used_count": 0, "created_at": run.created_at.timestamp(),
        "updated_at": run.updated_at.timestamp(), "ended_at": run.ended_at.timestamp(), "tags": ["a", "ü"],
        "logs": str(run.directory / "logs.txt"), "metrics": events, "metrics_step": events, "deleted_at": None,
    }  # fmt: skip
    assert said == {
        "experiments": [item], "total": 1, "page": 1, "per_page": 50, "has_next": False, "has_prev": False,
    }  # fmt: skip


@pytest.fixture
def many() -> dict[str, Run]:
    """By name; hours after noon, best metrics and statuses differ."""
    owner = make_user()
    facts = {
        "a": {"status": "finished", "best_metric_value": 0.1, "tags": ["x"]},
        "b": {"status": "failed", "best_metric_value": None, "tags": ["x", "y"]},
        "c": {"status": "running", "best_metric_value": 0.3, "tags": ["xy"], "project": "other"},
        "d": {"status": "stopped", "best_metric_value": -2.0, "deleted_at": None, "notes": "fourth"},
        "": {"status": "starting", "best_metric_value": 0.2, "project": "other"},
        "gone": {"status": "finished", "best_metric_value": 0.9, "deleted_at": timezone.now()},
    }
    return {
        name: make_sdk_run(
            owner, name=name, id=f"20260307_12000{n}_aaaaaa", created_at=NOON + timedelta(hours=n),
            updated_at=NOON - timedelta(hours=n), **fields,
        )
        for n, (name, fields) in enumerate(facts.items())
    }  # fmt: skip


@pytest.mark.database
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, "* d c b a"),
        ({"include_deleted": "1"}, "gone * d c b a"),
        ({"project": "other"}, "* c"),
        ({"project": "OTHER"}, ""),
        ({"name": "a"}, "a"),
        ({"name": "default"}, "*"),
        ({"status": "running"}, "* c"),
        ({"status": "failed, interrupted"}, "d b"),
        ({"tags": "x"}, "b a"),
        ({"tags": "x,y"}, "b"),
        ({"search": "FOURTH"}, "d"),
        ({"search": "20260307_120002"}, "c"),
        ({"created_after": NOON.timestamp() + 7200}, "* d c"),
        ({"created_before": NOON.timestamp() + 7200}, "c b a"),
        ({"created_after": 0}, "* d c b a"),
        ({"created_before": 0}, ""),
        ({"created_after": -1e300, "created_before": 1e300}, "* d c b a"),
        ({"created_after": 1e300}, ""),
        ({"best_metric_min": 0.2}, "* c"),
        ({"best_metric_max": 0.1}, "d a"),
        ({"best_metric_min": -2, "best_metric_max": 0.1}, "d a"),
        ({"best_metric_min": 0, "status": "finished"}, "a"),
        ({"order_desc": "false"}, "a b c d *"),
        ({"order_by": "updated_at"}, "a b c d *"),
        ({"order_by": "updated_at", "order_desc": "0"}, "* d c b a"),
        ({"order_by": "best_metric_value"}, "c * a d b"),
        ({"order_by": "best_metric_value", "order_desc": "FALSE"}, "d a * c b"),
        ({"order_by": "status"}, "* c d a b"),
        ({"order_by": "status", "order_desc": "false"}, "b a d c *"),
        ({"project": "", "status": "", "search": "", "tags": ","}, "* d c b a"),
        ({"unknown": "x"}, "* d c b a"),
    ],
)
def test_it_filters_and_orders(client, many, query, names):
    assert ids(client, **query) == [many["" if name == "*" else name].pk for name in names.split()]


@pytest.mark.database
def test_it_goes_page_by_page_and_counts_all_that_the_filters_leave(client):
    owner = make_user()
    runs = [make_sdk_run(owner, created_at=NOON, status="finished", best_metric_value=n % 3) for n in range(7)]
    make_sdk_run(owner, status="failed")
    for order_by in ("created_at", "updated_at", "best_metric_value", "status"):
        pages = [
            ask(client, status="finished", per_page=3, page=n, order_by=order_by, order_desc="false")
            for n in (1, 2, 3, 4)
        ]
        found = [item["id"] for page in pages for item in page["experiments"]]
        assert sorted(found) == sorted(run.pk for run in runs)
        assert [len(page["experiments"]) for page in pages] == [3, 3, 1, 0]
        assert [page["total"] for page in pages] == [7, 7, 7, 7]
        assert [page["has_next"] for page in pages] == [True, True, False, False]
        assert [page["has_prev"] for page in pages] == [False, True, True, True]


def test_a_page_behind_the_end_is_empty(client):
    make_run()
    said = ask(client, page=2**31, per_page=1000)
    assert (said["experiments"], said["total"], said["has_next"], said["has_prev"]) == ([], 1, False, True)


@pytest.mark.parametrize(
    "query",
    [
        "status=done", "status=finished,x", "tags=" + ",".join(map(str, range(101))),
        "order_by=name", "order_by=id;drop", "order_by=", "order_desc=yes",
        "include_deleted=2", "page=0", "page=x", "page=1.5", "page=", "per_page=0", "per_page=1001", "per_page=-1",
        "created_after=x", "created_after=nan", "created_before=inf", "best_metric_min=one", "best_metric_max=1e999",
    ],
)  # fmt: skip
def test_returns_400_when_the_query_is_bad(client, query):
    answer = client.get(f"{PATH}?{query}")
    assert answer.status_code == 400
    assert isinstance(answer.json()["detail"], str)
    assert answer.json()["detail"].startswith(query.partition("=")[0])


def test_it_needs_a_key():
    assert Client().get(PATH).status_code == 401


@pytest.mark.parametrize(("query", "count"), [("", 4), ("?per_page=1", 5), ("?per_page=2&tags=x&search=abc", 6)])
def test_its_queries_do_not_grow_with_the_page(client, django_assert_num_queries, query, count):
    for _ in range(3):
        make_process(make_run(tags=["x"], notes="abc"))
    client.get(PATH + query)
    with django_assert_num_queries(count):  # the key, (the index of texts), ids, (their number), rows, artifacts
        client.get(PATH + query)


@pytest.mark.database
def test_runs_in_the_recycle_bin_are_not_in_its_total(client):
    runs = [make_run() for _ in range(5)]
    Run.objects.filter(pk__in=[run.pk for run in runs[:2]]).update(deleted_at=timezone.now())
    assert client.get(f"{PATH}?per_page=2").json()["total"] == 3
    assert client.get(f"{PATH}?per_page=2&include_deleted=true").json()["total"] == 5
