"""R91-R95: totals over runs."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_sdk_run, make_series, make_user

pytestmark = pytest.mark.django_db
PATH = "/api/v2/analytics"
ROWS = ("overview", "projects", "performance-trends", "health", "summary")


@pytest.fixture
def client() -> Client:
    return make_client(scope="read")


@pytest.fixture
def runs() -> None:
    owner, now = make_user(), timezone.now().replace(hour=12)
    facts = [
        ("vision", "a", "finished", 0, 0.5), ("vision", "b", "failed", 0, 0.7), ("vision", "b", "stopped", 3, None),
        ("audio", "a", "ending", 9, 0.1), ("audio", "a", "finished", 40, 0.2),
    ]  # fmt: skip
    for project, name, status, days, best in facts:
        at = now - timedelta(days=days)
        is_over = status != "ending"
        run = make_sdk_run(
            owner, project=project, name=name, status=status, created_at=at, updated_at=at, started_at=at,
            ended_at=at + timedelta(seconds=10) if is_over else None, best_metric_value=best,
            best_metric_name="" if best is None else "acc", is_stale=not is_over,
        )  # fmt: skip
        make_series(run, count=5)
    gone = make_sdk_run(owner, project="gone", status="finished", deleted_at=now, best_metric_value=1.0)
    make_series(gone)


@pytest.mark.database
def test_the_overview_sums_up_all_runs(client, runs):
    said = client.get(f"{PATH}/overview").json()
    assert said.pop("last_updated_at") - said.pop("first_created_at") == 40 * 86400
    last_day = said.pop("created_last_24h")
    assert last_day in (2, 0), "noon of today may be to come"
    assert said == {
        "total_experiments": 5, "total_projects": 2, "success_rate": 0.5, "mean_duration_s": pytest.approx(10),
        "by_status": {"running": 1, "finished": 2, "failed": 1, "interrupted": 1}, "created_last_7d": 3,
        "total_metric_points": 25, "deleted_experiments": 1,
    }  # fmt: skip


@pytest.mark.database
def test_projects_have_their_own_totals_the_last_changed_first(client, runs):
    vision, audio = client.get(f"{PATH}/projects").json()["projects"]
    assert (vision["project"], audio["project"]) == ("vision", "audio")
    assert (vision["total_experiments"], vision["total_names"]) == (3, 2)
    assert vision["by_status"] == {"running": 0, "finished": 1, "failed": 1, "interrupted": 1}
    assert (vision["success_rate"], audio["success_rate"]) == (pytest.approx(1 / 3), 1.0)
    assert audio["by_status"]["running"] == 1


@pytest.mark.database
def test_trends_show_best_values_by_day(client, runs):
    said = client.get(f"{PATH}/performance-trends").json()
    today = timezone.now().date()
    (trend,) = said["trends"]
    assert (said["days"], trend["metric_name"]) == (30, "acc")
    assert trend["points"] == [
        {"date": str(today - timedelta(days=9)), "count": 1, "mean": 0.1, "min": 0.1, "max": 0.1},
        {"date": str(today), "count": 2, "mean": pytest.approx(0.6), "min": 0.5, "max": 0.7},
    ]


@pytest.mark.parametrize(
    ("query", "days"),
    [("?days=1000", 3), ("?project=vision", 1), ("?metric_name=acc&days=9999", 0), ("?metric_name=loss", 0)],
)
def test_trends_are_cut_by_project_name_and_days(client, runs, query, days):
    answer = client.get(f"{PATH}/performance-trends{query}")
    if "9999" in query:
        assert answer.status_code == 400
        return
    assert sum(len(trend["points"]) for trend in answer.json()["trends"]) == days


@pytest.mark.parametrize("query", ["days=0", "days=x", "days=3651", "days="])
def test_returns_400_when_the_query_is_bad(client, query):
    assert client.get(f"{PATH}/performance-trends?{query}").status_code == 400


@pytest.mark.database
def test_health_says_what_needs_attention(client, runs):
    said = client.get(f"{PATH}/health").json()
    assert (said["status"], said["running"], said["stale"]) == ("attention", 1, 1)
    assert (said["experiments"], said["deleted_experiments"]) == (5, 1)
    assert said["database_bytes"] > 10_000


def test_the_summary_has_all_of_it(client, runs):
    said = client.get(f"{PATH}/summary").json()
    assert said["overview"] == client.get(f"{PATH}/overview").json()
    assert said["projects"] == client.get(f"{PATH}/projects").json()["projects"]
    assert [run["id"] for run in said["recent_experiments"]] == [run["id"] for run in client.get("/api/runs").json()]
    assert said["health"]["experiments"] == 5


def test_without_runs_there_are_no_rates(client):
    said = client.get(f"{PATH}/overview").json()
    assert (said["total_experiments"], said["success_rate"], said["mean_duration_s"]) == (0, None, None)
    assert client.get(f"{PATH}/projects").json() == {"projects": []}
    assert client.get(f"{PATH}/health").json()["status"] == "ok"


def test_they_need_a_key():
    for row in ROWS:
        assert Client().get(f"{PATH}/{row}").status_code == 401


@pytest.mark.parametrize(("row", "count"), list(zip(ROWS, (4, 2, 2, 3, 9), strict=True)))
def test_their_queries_do_not_grow(client, runs, django_assert_num_queries, row, count):
    client.get(f"{PATH}/{row}")
    with django_assert_num_queries(count):
        client.get(f"{PATH}/{row}")
