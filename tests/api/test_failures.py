"""Every failure has the status of what happened and the body of the door it came by."""

import re
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from mlserver.api.bodies import DOORS, body_for
from mlserver.api.failures import FAULT
from tests.make import make_key

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]

NATIVE, JOBS, REMOTE = "/api/v1/x", "/api/jobs", "/api/remote"
TASK, GPU, RUNS, ELSEWHERE = "/api/task", "/api/gpu/0", "/api/runs", "/x"


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False, headers={"X-API-Key": make_key()})


@pytest.mark.parametrize(
    ("prefix", "status", "body"),
    [
        (NATIVE, 422, {"detail": "lr: 2 must be below 1", "errors": {"lr": ["2 must be below 1"]}}),
        (ELSEWHERE, 422, {"detail": "lr: 2 must be below 1", "errors": {"lr": ["2 must be below 1"]}}),
        (RUNS, 400, {"detail": "lr: 2 must be below 1"}),
        (TASK, 400, {"error": "lr: 2 must be below 1"}),
        (GPU, 400, {"error": "lr: 2 must be below 1"}),
        (
            JOBS,
            400,
            {
                "success": False,
                "message": "lr: 2 must be below 1",
                "errorCode": "INVALID_PARAMETER",
                "details": {"lr": ["2 must be below 1"]},
            },
        ),
        (
            REMOTE,
            400,
            {
                "success": False,
                "error": "invalid",
                "message": "lr: 2 must be below 1",
                "detail": "lr: 2 must be below 1",
            },
        ),
    ],
)
def test_a_refused_value_is_told_as_the_door_tells_it(client: Client, prefix: str, status: int, body: Any) -> None:
    answer = client.get(f"{prefix}/fail/invalid")
    assert (answer.status_code, answer.json()) == (status, body)


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("conflict", 409),
        ("missing", 404),
        ("busy", 503),
        ("later", 503),
        ("limited", 429),
        ("data", 422),
        ("other", 500),
        ("fault", 500),
        ("unmigrated", 500),
    ],
)
@pytest.mark.parametrize("prefix", [NATIVE, JOBS, REMOTE, TASK, GPU, RUNS, ELSEWHERE])
def test_each_error_has_one_status_by_every_door(client: Client, prefix: str, what: str, status: int) -> None:
    answer = client.get(f"{prefix}/fail/{what}")
    assert answer.status_code == status
    body = answer.json()
    assert isinstance(body.get("detail") or body.get("message") or body.get("error"), str)
    assert "secret" not in answer.content.decode() and "no such table" not in answer.content.decode()
    if status in (429, 503):
        assert int(answer.headers["Retry-After"]) > 0


def test_actions_of_flowline_say_success_false_and_runicorn_when_to_retry(client: Client) -> None:
    assert client.post("/api/task/fail/conflict").json() == {"error": "task 3 has ended", "success": False}
    assert client.get("/api/runs/fail/limited").json() == {"detail": "slow down", "retry_after": 7}
    assert client.get("/api/jobs/fail/missing").json()["errorCode"] == "JOB_NOT_FOUND"


def test_serializer_errors_become_422_with_the_fields(client: Client) -> None:
    answer = client.post("/api/v1/x/fail/serializer", {"count": 9}, content_type="application/json")
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {"name", "count"}
    assert isinstance(answer.json()["detail"], str) and "count: " in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/api/nothing", "/api/gpu", "/api/runs/"])
def test_returns_404_in_both_spellings_when_no_door_owns_the_path(client: Client, path: str) -> None:
    answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.json()["detail"] == answer.json()["error"]
    assert path in answer.json()["detail"]


def test_returns_404_as_the_door_tells_it_when_no_path_of_it_matches(client: Client) -> None:
    remote, jobs = client.get("/api/remote/nothing").json(), client.get("/api/jobs/a/b/c/d").json()
    for path in ("/api/v1/nothing", "/api/v1/who/"):
        assert set(client.get(path).json()) == {"detail"}
    assert set(client.get("/api/process/a/b").json()) == {"error"}
    assert (remote["success"], remote["error"]) == (False, "not_found")
    assert (jobs["success"], jobs["errorCode"]) == (False, "JOB_NOT_FOUND")


def test_returns_405_when_the_method_is_not_there(client: Client) -> None:
    answer = client.delete("/api/v1/who")
    assert answer.status_code == 405
    assert set(answer.json()) == {"detail"}
    assert answer.headers["Allow"] == "GET, POST, HEAD, OPTIONS"


def test_a_browser_gets_a_page_elsewhere_and_a_program_json(client: Client) -> None:
    assert "text/html" in client.get("/nothing", headers={"Accept": "text/html"}).headers["Content-Type"]
    assert "text/html" in client.get("/raises/fault", headers={"Accept": "text/html"}).headers["Content-Type"]
    assert set(client.get("/nothing").json()) == {"detail"}
    assert client.get("/raises/fault").json() == {"detail": FAULT.detail}


@pytest.mark.parametrize(("what", "status"), [("conflict", 409), ("busy", 503), ("fault", 500), ("missing", 404)])
def test_views_outside_drf_fail_alike(client: Client, what: str, status: int) -> None:
    answer = client.get(f"/api/raises/{what}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/json")


def test_a_busy_database_in_the_key_lookup_is_503(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*args: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("mlserver.accounts.keys._find", busy)
    answer = client.get("/api/v1/who")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_a_browsable_page_shows_the_failure_in_the_page(client: Client) -> None:
    answer = client.get("/api/v1/x/fail/conflict", headers={"Accept": "text/html"})
    assert answer.status_code == 409
    assert "text/html" in answer.headers["Content-Type"] and b"task 3 has ended" in answer.content


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/api/gpus", {"error"}),
        ("/api/gpu/9/process", {"error"}),
        ("/api/gpu/x/switch", {"error"}),
        ("/api/gpu", {"detail"}),
        ("/api/gpu/telemetry", {"detail"}),
        ("/api/process/4/kill", {"error"}),
        ("/api/run", {"error"}),
        ("/api/runs", {"detail"}),
        ("/api/log/list", {"error"}),
        ("/api/logs/a.log", {"error"}),
        ("/api/system/info", {"error"}),
        ("/api/system/uptime", {"error"}),
        ("/api/system/monitor", {"detail"}),
        ("/api/v1/system/info", {"detail"}),
        ("/api/v2/experiments", {"detail"}),
        ("/api/health", {"detail"}),
        ("/api/jobsite", {"detail"}),
        ("/api/remote/connect", {"success", "error", "message", "detail"}),
        ("/api/jobs", {"success", "message", "errorCode", "details"}),
        ("/api/jobs/create", {"success", "message", "errorCode", "details"}),
        ("/health", {"detail"}),
        ("/", {"detail"}),
    ],
)
def test_the_table_of_bodies_says_what_the_api_document_says(path: str, keys: set[str]) -> None:
    assert set(body_for(path, "GET", FAULT)) == keys


def test_the_table_of_bodies_is_total() -> None:
    assert DOORS[-1].paths == re.compile("")
