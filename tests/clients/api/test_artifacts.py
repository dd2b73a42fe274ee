"""client.artifacts."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from mlserver_client import api
from mlserver_client.api import RunicornClient

from tests.clients.api.rows import Given, RowsServer


@pytest.mark.parametrize(
    ("name", "arguments", "row", "query"),
    [
        ("list_artifacts", [], "GET /api/artifacts", {}),
        ("list_artifacts", ["model", 5, 0], "GET /api/artifacts", {"type": "model", "limit": "5", "offset": "0"}),
        ("list_versions", ["asr"], "GET /api/artifacts/asr/versions", {}),
        ("get_artifact", ["asr:v3"], "GET /api/artifacts/asr:v3", {}),
        ("get_artifact_lineage", ["asr:best"], "GET /api/artifacts/asr:best/lineage", {}),
        ("list_experiment_artifacts", ["r", "used"], "GET /api/experiments/r/artifacts", {"relation": "used"}),
    ],
)
def test_it_asks(
    name: str, arguments: list[Any], row: str, query: dict[str, str], client: RunicornClient, rows: RowsServer
) -> None:
    rows.rows[row] = {}
    getattr(client.artifacts, name)(*arguments)
    assert (f"{rows.asked[0].method} {rows.asked[0].path}", rows.asked[0].query) == (row, query)


@pytest.mark.parametrize("wrapped", [True, False])
def test_it_takes_lists_in_either_form(wrapped: bool, client: RunicornClient, rows: RowsServer) -> None:
    artifacts, versions = [{"name": "asr"}], [{"version": 1}]
    rows.rows["GET /api/artifacts"] = {"artifacts": artifacts} if wrapped else artifacts
    rows.rows["GET /api/artifacts/asr/versions"] = {"versions": versions} if wrapped else versions
    assert client.artifacts.list_artifacts() == artifacts
    assert client.artifacts.list_versions("asr") == versions


def prepare(rows: RowsServer, path: str, content: bytes, *, digest: str | None = None, **given: Any) -> None:
    files = [{"path": path, "digest": digest or f"sha256:{hashlib.sha256(content).hexdigest()}"}]
    rows.rows["GET /api/artifacts/asr:best"] = {"name": "asr", "version": 3}
    rows.rows["GET /api/artifacts/asr/v3/files"] = {"files": files}
    rows.rows[f"GET /api/artifacts/asr/v3/files/{path}"] = Given(content, **given)


def test_it_downloads_every_file(client: RunicornClient, rows: RowsServer, tmp_path: Path) -> None:
    prepare(rows, "weights/net.pth", b"w" * 2_500_000)
    assert client.artifacts.download_artifact("asr:best", tmp_path / "here") == str(tmp_path / "here")
    assert (tmp_path / "here" / "weights" / "net.pth").read_bytes() == b"w" * 2_500_000
    assert len(list((tmp_path / "here" / "weights").iterdir())) == 1


@pytest.mark.parametrize("damage", [{"cut": 10}, {"digest": "sha256:00"}])
def test_a_damaged_file_does_not_appear(
    damage: dict[str, Any], client: RunicornClient, rows: RowsServer, tmp_path: Path
) -> None:
    prepare(rows, "net.pth", b"w" * 1000, **damage)
    with pytest.raises(api.ConnectionError):
        client.artifacts.download_artifact("asr:best", tmp_path / "here")
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "a/../../out", "a\\..\\b", ""])
def test_no_file_leaves_the_directory(path: str, client: RunicornClient, rows: RowsServer, tmp_path: Path) -> None:
    prepare(rows, path, b"w")
    with pytest.raises(ValueError, match="outside"):
        client.artifacts.download_artifact("asr:best", tmp_path / "here")
    assert not (tmp_path / "out").exists()
