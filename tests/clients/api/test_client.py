"""api.connect and the client's own calls: what is sent, what comes back, what is raised."""

from pathlib import Path
from typing import Any

import pytest
from mlserver_client import api
from mlserver_client.api import RunicornClient
from mlserver_client.api.exceptions import RetriesUsedUp

from tests.clients.api.rows import Given, RowsServer
from tests.serving import free_port

RUN = "20260102_030405_0a1b2c"


@pytest.mark.parametrize("word", ["ok", "healthy"])
def test_it_takes_either_health_word(word: str, rows: RowsServer) -> None:
    rows.rows["GET /api/health"] = {"status": word}
    with api.connect(rows.url + "/some/path/") as client:
        assert client.base_url == rows.url
        assert client.health_check() == {"status": word}


def test_it_takes_the_health_of_a_server_without_that_row(rows: RowsServer) -> None:
    del rows.rows["GET /api/health"]
    rows.rows["GET /health"] = {"status": "healthy"}
    assert api.connect(rows.url).base_url == rows.url


def test_it_refuses_a_server_that_is_not_healthy(rows: RowsServer) -> None:
    rows.rows["GET /api/health"] = {"status": "starting"}
    with pytest.raises(api.ConnectionError, match="not healthy"):
        api.connect(rows.url)


def test_it_refuses_what_is_no_server(rows: RowsServer) -> None:
    rows.rows["GET /api/health"] = Given(b"<html>")
    with pytest.raises(api.ConnectionError, match="no JSON"):
        api.connect(rows.url)
    with pytest.raises(api.ConnectionError):
        api.connect(f"http://127.0.0.1:{free_port()}", max_retries=0)
    with pytest.raises(ValueError, match="http://host:port"):
        api.connect("box:8000")


def test_it_sends_the_key_of_argument_or_environment(rows: RowsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSERVER_URL", rows.url)
    api.connect()
    monkeypatch.setenv("MLSERVER_API_KEY", "of-environment")
    api.connect()
    api.connect(api_key="given")
    assert [asked.headers.get("Authorization") for asked in rows.asked] == [
        None, "Bearer of-environment", "Bearer given",
    ]  # fmt: skip


def test_the_key_goes_before_a_netrc(rows: RowsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    api.connect(rows.url, api_key="given")
    assert rows.asked[0].headers["Authorization"] == "Bearer given"


CALLS: list[tuple[str, list[Any], dict[str, Any], str, dict[str, str], Any]] = [
    ("list_experiments", [], {}, "GET /api/experiments", {}, None),
    (
        "list_experiments", ["p", "n", "failed", 5, 0], {}, "GET /api/experiments",
        {"project": "p", "name": "n", "status": "failed", "limit": "5", "offset": "0"}, None,
    ),
    ("get_experiment", [RUN], {}, f"GET /api/runs/{RUN}", {}, None),
    ("get_run", ["a/b"], {}, "GET /api/runs/a%2Fb", {}, None),
    ("list_projects", [], {}, "GET /api/projects", {}, None),
    ("get_metrics", [RUN], {}, f"GET /api/metrics/{RUN}", {}, None),
    ("get_metrics", [RUN, ["a", "b"], 3], {}, f"GET /api/metrics/{RUN}", {"metrics": "a,b", "limit": "3"}, None),
    (
        "export_experiment", [RUN], {"format": "csv", "include_media": True}, "POST /api/export", {},
        {"run_id": RUN, "format": "csv", "include_media": True},
    ),
    ("get_config", [], {}, "GET /api/config", {}, None),
    ("update_config", [{"user_root_dir": "/d"}], {}, "PUT /api/config", {}, {"user_root_dir": "/d"}),
    ("get_gpu_info", [], {}, "GET /api/gpu", {}, None),
    ("get", ["/api/runs", {"a": 1}], {}, "GET /api/runs", {"a": "1"}, None),
    ("post", ["api/x", {"a": 1}], {}, "POST /api/x", {}, {"a": 1}),
    ("put", ["/api/x", {"a": 1}], {}, "PUT /api/x", {}, {"a": 1}),
    ("delete", ["/api/x"], {}, "DELETE /api/x", {}, None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "options", "row", "query", "body"), CALLS)
def test_it_sends(
    name: str,
    arguments: list[Any],
    options: dict[str, Any],
    row: str,
    query: dict[str, str],
    body: Any,
    client: RunicornClient,
    rows: RowsServer,
) -> None:
    rows.rows[row] = {"experiments": [], "items": []}
    getattr(client, name)(*arguments, **options)
    (asked,) = rows.asked
    assert (f"{asked.method} {asked.path}", asked.query, asked.body) == (row, query, body)
    assert asked.headers["Authorization"] == "Bearer k"


def test_lists_come_unwrapped(client: RunicornClient, rows: RowsServer) -> None:
    rows.rows["GET /api/experiments"] = {"experiments": [{"id": RUN}], "total": 1}
    rows.rows["GET /api/projects"] = {"projects": ["p"], "items": [{"name": "p"}]}
    assert client.list_experiments() == [{"id": RUN}]
    assert client.list_projects() == [{"name": "p"}]


def test_an_export_is_bytes(client: RunicornClient, rows: RowsServer, capsys: pytest.CaptureFixture[str]) -> None:
    rows.rows["POST /api/export"] = Given(b"\x00" * 3_000_000)
    assert client.export_experiment(RUN, progress=True) == b"\x00" * 3_000_000
    assert f"export of {RUN}: 100 % of 3.0 MB" in capsys.readouterr().err


def test_an_export_that_breaks_off_is_an_error(client: RunicornClient, rows: RowsServer) -> None:
    rows.rows["POST /api/export"] = Given(b"\x00" * 1000, cut=500)
    with pytest.raises(api.ConnectionError):
        client.export_experiment(RUN)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, api.BadRequestError),
        (401, api.AuthenticationError),
        (403, api.AuthenticationError),
        (404, api.NotFoundError),
        (409, api.ConnectionError),
        (418, api.ConnectionError),
        (500, api.ServerError),
        (500, api.ConnectionError),
        (501, api.ServerError),
        (503, RetriesUsedUp),
    ],
)
def test_it_raises(status: int, error: type[Exception], client: RunicornClient, rows: RowsServer) -> None:
    rows.rows["GET /api/x"] = Given({"detail": "for a reason"}, status)
    with pytest.raises(error, match=f"{status}: for a reason") as caught:
        client.get("/api/x")
    assert isinstance(caught.value, api.RunicornAPIError)


@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_it_tries_again(method: str, status: int, client: RunicornClient, rows: RowsServer) -> None:
    rows.rows[f"{method.upper()} /api/x"] = [Given({}, status)] * 3 + [Given({"said": 1})]
    assert getattr(client, method)("/api/x") == {"said": 1}
    assert len(rows.asked) == 4


def test_it_gives_up_after_the_retries(client: RunicornClient, rows: RowsServer) -> None:
    rows.rows["GET /api/x"] = Given({}, 503)
    with pytest.raises(api.ConnectionError):
        client.get("/api/x")
    assert len(rows.asked) == 4


@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_as_long_as_it_is_told(status: int, client: RunicornClient, rows: RowsServer) -> None:
    rows.rows["GET /api/x"] = [Given({}, status, {"Retry-After": "0"}), Given({"said": 1})]
    assert client.get("/api/x") == {"said": 1}
    assert len(rows.asked) == 2


@pytest.mark.parametrize("body", [{"message": "m"}, {"error": "m"}, {"detail": "m"}, b"m"])
def test_it_says_what_the_server_said(body: Any, client: RunicornClient, rows: RowsServer) -> None:
    rows.rows["GET /api/x"] = Given(body, 404)
    with pytest.raises(api.NotFoundError, match="404: m$"):
        client.get("/api/x")


def test_an_empty_answer_is_an_empty_object(client: RunicornClient, rows: RowsServer) -> None:
    rows.rows["DELETE /api/x"] = Given(b"", 204)
    assert client.delete("/api/x") == {}
