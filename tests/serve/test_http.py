"""HTTP as the real web process speaks it."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from mlserver.serving.answer import PIECE_BYTES
from tests.serving import RunningServer

pytestmark = pytest.mark.process

# Open to everybody, and long.
BUNDLE = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With two threads, so that few slow clients would be enough to hold them all."""
    home = tmp_path_factory.mktemp("http") / "home"
    with RunningServer(home, env={"MLSERVER_WEB_THREADS": "2"}) as running:
        yield running.start()


def test_head_answers_like_get_without_a_body(server: RunningServer) -> None:
    head, get = server.api.head("/health"), server.api.get("/health")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))


def test_it_does_not_name_the_software_behind_it(server: RunningServer) -> None:
    assert "server" not in server.api.get("/health").headers


def test_returns_413_when_a_body_is_huge(server: RunningServer) -> None:
    answer = server.api.post(
        "/api/v1/tasks", content=b"x" * (5 * 1024**2), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
    assert "must be at most" in answer.json()["detail"]


def test_a_chunked_body_is_read(server: RunningServer) -> None:
    chunks = iter([b'{"command": ["/bin/true"],', b' "hold": true}'])
    answer = server.api.post("/api/v1/tasks", content=chunks, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["status"]) == (201, "held")


def test_clients_that_stop_in_the_middle_of_a_request_hold_up_nobody(server: RunningServer) -> None:
    half = b"POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(10)]
    for client in slow:
        client.sendall(half)
    assert server.api.get("/api/v1/tasks").status_code == 200
    for client in slow:
        client.close()


@pytest.mark.parametrize("sent", [b"", b'{"type": "metrics", "data": {"global_step": 1, "loss": 1}}\n'])
def test_nothing_is_taken_of_a_batch_whose_sender_dies(server: RunningServer, sent: bytes) -> None:
    """Its number counts as taken once: what is missing of it would never come."""
    run_id = server.api.post("/api/v1/runs", json={"project": "half"}).json()["id"]
    path = f"/api/v1/runs/{run_id}/metrics"
    key = server.api.headers["Authorization"]
    head = f"POST {path}?seq=0 HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key}\r\n"
    about = f"Content-Type: application/x-ndjson\r\nContent-Length: {len(sent) + 50}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall((head + about).encode() + sent)
    whole = b'{"type": "metrics", "data": {"global_step": 1, "loss": 1}}\n'
    answer = server.api.post(f"{path}?seq=0", content=whole, headers={"Content-Type": "application/x-ndjson"})
    assert answer.json() == {"accepted": 1, "next_seq": 1, "duplicate": False}


def test_clients_that_ask_much_and_read_nothing_hold_up_nobody(server: RunningServer) -> None:
    """With many requests at once on each connection, both threads would be held for good if threads waited."""
    request = f"GET {BUNDLE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with contextlib.ExitStack() as connections:
        for _ in range(10):
            client = connections.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", server.port))
            client.sendall(request * 7)
            # The head has come: the server is in the middle of the answer.
            assert client.recv(16).startswith(b"HTTP/1.1 200")
        for _ in range(5):
            assert server.api.get("/health", timeout=5).status_code == 200
        assert server.api.get("/api/v1/tasks", timeout=5).status_code == 200
    for _ in range(5):
        assert server.api.get("/health", timeout=5).status_code == 200


def test_a_static_file_arrives_whole(server: RunningServer) -> None:
    answer = server.api.get(BUNDLE)
    assert answer.headers["content-length"] == str(len(answer.content))
    assert len(answer.content) > PIECE_BYTES
    part = server.api.get(BUNDLE, headers={"Range": "bytes=100-299999"})
    assert (part.status_code, part.content) == (206, answer.content[100:300000])


def test_returns_400_when_the_request_is_not_http(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"hello\r\n\r\n")
        assert client.recv(64).startswith(b"HTTP/1.1 400")
