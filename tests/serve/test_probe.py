"""The question whether the web process answers, put to real sockets."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlserver.serving.probe import WebPulse
from tests.waiting import until

STALE_S = 0.2


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(10)
        yield made


def pulse_of(listener: socket.socket, *, is_tls: bool = False) -> WebPulse:
    return WebPulse(listener, "example.org", is_tls=is_tls, every_s=0, stale_after_s=STALE_S)


def in_background(serve: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


def asks_until_ended(pulse: WebPulse, thread: threading.Thread) -> bool:
    """Whether it was stuck at the end, after it has seen the last answer."""
    until(lambda: pulse.is_stuck() or not thread.is_alive())
    return pulse.is_stuck()


def test_it_finds_a_server_stuck_that_accepts_and_stays_silent(listener: socket.socket) -> None:
    pulse = pulse_of(listener)
    assert not pulse.is_stuck()
    assert until(pulse.is_stuck)


def test_it_gives_a_new_server_the_whole_time_again(listener: socket.socket) -> None:
    pulse = pulse_of(listener)
    assert until(pulse.is_stuck)
    pulse.forget()
    assert not pulse.is_stuck()


def test_it_is_content_with_any_answer(listener: socket.socket) -> None:
    asked: list[bytes] = []

    def serve() -> None:
        for _ in range(3):
            link, _ = listener.accept()
            with link:
                asked.append(link.recv(1000))
                link.sendall(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")

    assert not asks_until_ended(pulse_of(listener), in_background(serve))
    assert asked[0].startswith(b"GET /health HTTP/1.1\r\nHost: example.org\r\n")


def test_a_refused_connection_is_no_silence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        pulse = pulse_of(gone)
    assert not pulse.is_stuck()
    until(lambda: not pulse.is_stuck() and pulse._asking is None, within_s=STALE_S, what="the question ended")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    made = tmp_path / "both.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=elsewhere.org -days 1 -out both.pem -keyout both.key"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True, timeout=60)
    made.write_bytes(made.read_bytes() + (tmp_path / "both.key").read_bytes())
    return made


def test_it_speaks_tls_to_whatever_certificate(listener: socket.socket, certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    asked: list[bytes] = []

    def serve() -> None:
        link, _ = listener.accept()
        with context.wrap_socket(link, server_side=True) as secured:
            asked.append(secured.recv(1000))
            secured.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    pulse = WebPulse(listener, "example.org", is_tls=True, every_s=0, stale_after_s=10)
    assert not asks_until_ended(pulse, in_background(serve))
    assert asked[0].startswith(b"GET /health")


def test_it_finds_a_server_stuck_that_does_not_shake_hands(listener: socket.socket) -> None:
    pulse = pulse_of(listener, is_tls=True)
    assert until(pulse.is_stuck)
