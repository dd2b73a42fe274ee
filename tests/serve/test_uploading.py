"""Uploads to the real web process: what other clients do, and what is left when they stop."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving import KEY, RunningServer
from tests.waiting import until

pytestmark = pytest.mark.process
CONTENT = os.urandom(3 * 1024**2 + 17)
START = b'--b\r\nContent-Disposition: form-data; name="file"; filename="net.pth"\r\n\r\n'
END = b"\r\n--b--\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With one thread, so that one slow client would be enough to hold it."""
    home = tmp_path_factory.mktemp("uploads") / "home"
    with RunningServer(home, env={"MLSERVER_WEB_THREADS": "1", "MAX_UPLOAD_MB": "8"}) as running:
        yield running.start()


@contextlib.contextmanager
def begun(server: RunningServer, name: str, *, length: int = 4 * 1024**2) -> Iterator[socket.socket]:
    """An upload of which the head and the start of the form were sent."""
    head = (
        f"POST /api/v1/models?model_name={name} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(head.encode() + START)
        yield client


def incoming(server: RunningServer) -> list[Path]:
    return list((server.home / "blobs").glob(".incoming-*"))


def answers_of(client: socket.socket, count: int) -> list[int]:
    """The statuses of the next answers, all of which have a length."""
    statuses, read = [], client.makefile("rb")
    for _ in range(count):
        statuses.append(int(read.readline().split()[1]))
        lines = list(iter(read.readline, b"\r\n"))
        read.read(next(int(line.split()[1]) for line in lines if line.lower().startswith(b"content-length:")))
    return statuses


@pytest.mark.parametrize("spelling", ["Content-Length", "chunked"])
def test_it_stores_the_bytes_that_were_sent(server: RunningServer, spelling: str) -> None:
    name = f"net-{spelling}"
    path = f"/api/v1/models?model_name={name}"
    body = START + CONTENT + END
    pieces = (body[at : at + 100_000] for at in range(0, len(body), 100_000))
    kind = {"Content-Type": "multipart/form-data; boundary=b", "Origin": "https://elsewhere.example"}
    answer = server.api.post(path, content=body if spelling == "Content-Length" else pieces, headers=kind)
    assert (answer.status_code, answer.json()["size_mb"]) == (200, len(CONTENT) / 1024**2)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["access-control-allow-origin"] == "*"

    got = server.api.get(f"/api/v1/models/{name}")
    assert (got.content == CONTENT, got.headers["etag"]) == (True, f'"{hashlib.sha256(CONTENT).hexdigest()}"')
    part = server.api.get(f"/api/v1/models/{name}", headers={"Range": "bytes=1000000-2999999"})
    assert (part.status_code, part.content == CONTENT[1_000_000:3_000_000]) == (206, True)
    assert incoming(server) == []


def curl(server: RunningServer, name: str, file: Path, *options: str) -> tuple[str, list[str]]:
    """Status, and the lines that the server sent before the body."""
    done = subprocess.run(
        ["curl", "-sS", "-v", "-w", "%{http_code}", "-o", os.devnull, "-H", f"Authorization: Bearer {KEY}",
         *options, "-F", f"file=@{file}", f"{server.url}/api/v1/models?model_name={name}"],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    return done.stdout, [line[2:] for line in done.stderr.splitlines() if line.startswith("< HTTP")]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_waits_for_100_continue_and_sends_nothing_that_is_refused(server: RunningServer, tmp_path: Path) -> None:
    file = tmp_path / "net.pth"
    file.write_bytes(CONTENT)
    expecting = ("-H", "Expect: 100-continue", "--expect100-timeout", "20")
    first = curl(server, "curled", file, *expecting)
    assert first == ("200", ["HTTP/1.1 100 Continue", "HTTP/1.1 200 OK"])
    second = curl(server, "curled", file, *expecting)
    assert second == ("409", ["HTTP/1.1 409 Conflict"])


def test_a_refused_body_is_read_and_the_connection_goes_on(server: RunningServer) -> None:
    length = 6 * 1024**2
    with begun(server, "..", length=length) as client:
        assert answers_of(client, 1) == [422]
        client.sendall(b"x" * (length - len(START)))
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answers_of(client, 1) == [200]


def test_a_client_that_looks_only_after_all_was_sent_finds_its_refusal(server: RunningServer) -> None:
    body = START + b"x" * (7 * 1024**2) + END
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    for _ in range(2):  # on one connection
        assert server.api.post("/api/v1/models?model_name=.", content=body, headers=kind).status_code == 422
    assert server.api.post("/api/v1/models?model_name=a", content=b"x" * 1024**2, headers=kind).status_code == 400


@pytest.mark.parametrize("spelling", ["Content-Length", "chunked"])
def test_returns_413_when_it_is_too_large_and_leaves_nothing(server: RunningServer, spelling: str) -> None:
    body = START + b"x" * (9 * 1024**2) + END
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    content = body if spelling == "Content-Length" else (body[at : at + 65536] for at in range(0, len(body), 65536))
    # A connection of its own: it may be closed under a body like this.
    with httpx.Client(headers={"Authorization": f"Bearer {KEY}"}) as client:
        answer = client.post(f"{server.url}/api/v1/models?model_name=huge", content=content, headers=kind)
    assert answer.status_code == 413
    until(lambda: not incoming(server))
    assert server.api.get("/api/v1/models/huge").status_code == 404


def test_clients_that_stop_in_the_middle_hold_up_nobody_and_leave_nothing(server: RunningServer) -> None:
    with contextlib.ExitStack() as uploads:
        for number in range(10):
            uploads.enter_context(begun(server, f"slow{number}")).sendall(b"x" * 1024**2)
        until(lambda: len(incoming(server)) == 10)
        assert server.api.get("/api/v1/models", timeout=5).status_code == 200
        assert "slow1" not in server.api.get("/api/v1/models").text
    until(lambda: not incoming(server))
    assert server.api.get("/api/v1/models/slow1").status_code == 404


def test_a_server_that_is_stopped_tells_an_upload_so_and_leaves_nothing(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "home") as own:
        own.start()
        with begun(own, "late") as client:
            client.sendall(b"x" * 1024**2 * 2)
            until(lambda: incoming(own))
            status, took_s = own.stop(signal.SIGTERM)
            assert answers_of(client, 1) == [503]
        assert (status, took_s < 10, incoming(own)) == (0, True, [])


def test_what_a_killed_server_had_received_is_removed_when_it_starts_again(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "home") as own:
        own.start()
        with begun(own, "cut") as client:
            client.sendall(b"x" * 1024**2 * 2)
            until(lambda: incoming(own))
            own.kill9("serve")
        assert incoming(own)
        own.start()
        until(lambda: not incoming(own))
        assert own.api.get("/api/v1/models").json() == []


def test_a_dataset_is_inspected_while_others_are_served(server: RunningServer) -> None:
    rows = b"a,b,label\n" + b"1,2,x\n3,4,y\n" * 1000
    files = {"file": ("rows.csv", rows)}
    answer = server.api.post("/api/v1/datasets?dataset_name=rows", files=files)
    assert answer.status_code == 200, answer.text
    shown = server.api.get("/api/v1/datasets/rows").json()
    assert (shown["sample_count"], shown["format"], shown["dimensions"]) == (2000, "csv", "3")
    bad = server.api.post("/api/v1/datasets?dataset_name=bad", files={"file": ("bad.zip", b"no archive")})
    assert (bad.status_code, bool(json.loads(bad.text)["detail"])) == (400, True)
    assert incoming(server) == []
