"""client.remote."""

from typing import Any

import pytest
from mlserver_client.api import RunicornClient

from tests.clients.api.rows import RowsServer

LOGIN = {"username": None, "password": None, "private_key_path": None, "passphrase": None}
PORTS = {"remote_root": None, "local_port": None, "remote_port": None}


@pytest.mark.parametrize(
    ("name", "arguments", "row", "body"),
    [
        ("connect", ["box"], "POST /api/remote/connect", {"host": "box", "port": 22, **LOGIN}),
        ("connect", ["b", 2, "u"], "POST /api/remote/connect", {"host": "b", "port": 2, **LOGIN, "username": "u"}),
        ("disconnect", ["box"], "POST /api/remote/disconnect", {"host": "box"}),
        ("start_viewer", ["c"], "POST /api/remote/viewer/start", {"connection_id": "c", **PORTS}),
        ("stop_viewer", ["s"], "POST /api/remote/viewer/stop", {"session_id": "s"}),
        ("get_remote_status", [], "GET /api/remote/status", None),
    ],
)
def test_it_sends(
    name: str, arguments: list[Any], row: str, body: Any, client: RunicornClient, rows: RowsServer
) -> None:
    rows.rows[row] = {"said": 1}
    assert getattr(client.remote, name)(*arguments) == {"said": 1}
    assert (f"{rows.asked[0].method} {rows.asked[0].path}", rows.asked[0].body) == (row, body)


def test_lists_come_unwrapped(client: RunicornClient, rows: RowsServer) -> None:
    rows.rows["GET /api/remote/sessions"] = {"sessions": [1]}
    rows.rows["GET /api/remote/viewer/sessions"] = {"sessions": [2]}
    rows.rows["GET /api/remote/fs/list"] = {"items": [3]}
    assert client.remote.list_sessions() == [1]
    assert client.remote.list_viewer_sessions() == [2]
    assert client.remote.list_remote_directory("c") == [3]
    assert rows.asked[-1].query == {"connection_id": "c", "path": "~"}


@pytest.mark.parametrize("exists", [True, False])
def test_it_tells_whether_a_path_exists(exists: bool, client: RunicornClient, rows: RowsServer) -> None:
    rows.rows["GET /api/remote/fs/exists"] = {"path": "/d", "exists": exists, "is_dir": True}
    assert client.remote.check_remote_path("c", "/d") is exists
