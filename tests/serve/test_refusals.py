"""What stops `serve` from starting: one clear line on standard error, exit status 1, nothing left running."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.serving import REPOSITORY, RunningServer, prepare_database

pytestmark = pytest.mark.process


@pytest.fixture
def ready(server: RunningServer) -> RunningServer:
    """A migrated home, nothing started."""
    prepare_database(server.home, server.env)
    return server


def refusal_of(server: RunningServer, *arguments: str) -> str:
    """The one line."""
    done = subprocess.run(
        [sys.executable, "manage.py", "serve", *arguments],
        cwd=REPOSITORY, env=server.env, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("mlserver: ")
    return line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "eighty"], ["--port='eighty'", "from 1 to 65535"]),
        (["--port", "70000"], ["--port='70000'", "from 1 to 65535"]),
        (["--listen", "5000"], ["--listen='5000'", "HOST:PORT"]),
        (["--listen", "localhost:x"], ["--listen='x'", "from 1 to 65535"]),
        (["--host", "no.such.host.invalid"], ["cannot listen on no.such.host.invalid:"]),
        (["--log-level", "loud"], ["--log-level='loud'", "critical, error, warning, info, debug, trace"]),
        (["--tls-cert", "cert.pem"], ["--tls-cert and --tls-key", "both or none"]),
        (["--tls-cert", "/no.pem", "--tls-key", "/etc/hosts"], ["--tls-cert='/no.pem'", "No such file"]),
        (["--tls-cert", "/etc/hosts", "--tls-key", "/no.key"], ["--tls-key='/no.key'", "No such file"]),
        (["--tls-cert", "/etc/hosts", "--tls-key", "/etc/hosts"], ["--tls-cert=/etc/hosts with", "PEM"]),
        (["--api-keys", " , "], ["API_KEYS is set but holds no key"]),
    ],
)
def test_it_refuses_a_bad_option(ready: RunningServer, arguments: list[str], words: list[str]) -> None:
    line = refusal_of(ready, *arguments)
    assert [word for word in words if word not in line] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_PORT", "0"),
        ("LOG_LEVEL", "loud"),
        ("MLSERVER_WEB_THREADS", "many"),
        ("MLSERVER_LOG_ROTATE_MIB", "2048"),
        ("DATABASE_URL", "nonsense://x"),
        ("Q_REDIS_URL", "http://x"),
        ("ALLOWED_ORIGINS", "example.org"),
        ("ALLOWED_HOSTS", "http://x"),
        ("MLSERVER_JOB_ENV", "API_KEYS"),
        ("MODELS_DIR", "/dev/null/models"),
    ],
)
def test_it_refuses_a_bad_environment_value(server: RunningServer, name: str, value: str) -> None:
    server.env[name] = value
    assert f"{name}={value!r} is refused: it must be " in refusal_of(server)


def test_it_refuses_a_bad_file_of_rate_limits(ready: RunningServer) -> None:
    path = ready.home / "rate_limits.json"
    path.write_text('{"default": {"max_requests": 0}}')
    words = f"{path} is refused: default.max_requests: 0 must be a whole number from 1 to 100000"
    assert refusal_of(ready) == f"mlserver: {words}"


@pytest.mark.parametrize(
    ("name", "url", "shown"),
    [
        ("DATABASE_URL", "postgres://me:hidden@127.0.0.1:1/x", "DATABASE_URL=postgres://...@127.0.0.1:1/x"),
        ("Q_REDIS_URL", "redis://:hidden@127.0.0.1:1/0", "Q_REDIS_URL='redis://...@127.0.0.1:1/0'"),
        ("Q_REDIS_URL", "unix:///nowhere.sock", "Q_REDIS_URL='unix:///nowhere.sock'"),
    ],
)
def test_it_refuses_a_database_or_redis_that_does_not_answer(
    ready: RunningServer, name: str, url: str, shown: str
) -> None:
    ready.env[name] = url
    line = refusal_of(ready)
    assert shown in line and "hidden" not in line


def test_it_refuses_production_without_any_key(ready: RunningServer) -> None:
    del ready.env["API_KEYS"]
    ready.env["MLSERVER_ENV"] = "production"
    assert "no API key is configured" in refusal_of(ready)


def test_it_speaks_of_missing_keys_before_a_missing_database(server: RunningServer) -> None:
    server.env["API_KEYS"] = ""
    assert "API_KEYS is set but holds no key" in refusal_of(server)
    del server.env["API_KEYS"]
    server.env["MLSERVER_ENV"] = "production"
    assert "no API key is configured" in refusal_of(server)


def test_it_refuses_a_database_that_was_not_migrated(server: RunningServer) -> None:
    server.home.mkdir()
    assert "the database is not up to date" in refusal_of(server)


@pytest.mark.parametrize("home", ["/dev/null", "/dev/null/below", "/proc/mlserver"])
def test_it_refuses_a_home_that_cannot_be_made(server: RunningServer, home: str) -> None:
    server.env["MLSERVER_HOME"] = home
    assert f"MLSERVER_HOME={home} cannot be created" in refusal_of(server)


@pytest.fixture
def holder(ready: RunningServer) -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", ready.port)) as listening:
        yield listening


def test_it_refuses_a_port_that_is_taken_and_makes_no_credentials(ready: RunningServer, holder: socket.socket) -> None:
    del ready.env["API_KEYS"]
    line = refusal_of(ready)
    assert line == f"mlserver: cannot listen on 127.0.0.1:{ready.port}: Address already in use"
    assert not (ready.home / "credentials").exists()


def test_it_refuses_a_second_serve_of_one_home_and_leaves_the_first_alone(server: RunningServer) -> None:
    server.start()
    before = server.pids()
    line = refusal_of(server, "--port", "1")
    assert f"another serve (pid {server.process.pid}) already runs on MLSERVER_HOME={server.home}" in line
    assert server.pids() == before
    assert server.is_healthy()
