"""A real server: the datasets that come with it, and what its upkeep does after it was killed in an upload."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import KEY, RunningServer
from tests.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("registry") / "home") as running:
        yield running.start()


def stored(server: RunningServer) -> set[str]:
    """Files of the store, the lock aside."""
    return {path.name for path in (server.home / "blobs").rglob("*") if path.is_file()} - {"lock"}


def test_it_comes_with_datasets(server: RunningServer) -> None:
    answer = server.api.get("/api/v1/datasets")
    assert answer.status_code == 200, answer.text
    found = {row["name"]: row for row in answer.json()}
    assert set(found) == {"digits", "iris", "wine", "breast_cancer", "diabetes"}
    assert (found["digits"]["sample_count"], found["digits"]["format"]) == (1797, "numpy")
    links = {path.name for path in (server.home / "datasets").iterdir()}
    assert {Path(row["file_path"]).name for row in found.values()} == links


def test_nothing_is_left_of_an_upload_in_which_it_was_killed(server: RunningServer) -> None:
    before = stored(server)
    head = (
        f"POST /api/v1/models?model_name=net HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 90000000\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="file"; filename="net.pth"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(head.encode() + b"w" * 5_000_000)
        until(lambda: len(stored(server)) == len(before) + 1, what="the upload has begun")
        server.kill9("serve")
    # A copy cut short in a directory of links, as well.
    (server.home / "models").mkdir(exist_ok=True)
    (server.home / "models" / ".incoming-0123456789abcdef").write_bytes(b"half")
    server.start()
    until(lambda: stored(server) == before, within_s=20, what="the upkeep removed it")
    until(lambda: not list((server.home / "models").iterdir()), what="and the copy")
    assert server.api.get("/api/v1/models/net").status_code == 404
    files = {"file": ("net.pth", b"weights")}
    assert server.api.post("/api/v1/models", params={"model_name": "net"}, files=files).status_code == 200
    assert server.api.get("/api/v1/models/net").content == b"weights"
