import os
import signal
import sqlite3
import stat
from pathlib import Path

import httpx
import pytest

from mlserver import heartbeat
from tests.serving import RunningServer, descendants, free_port, is_alive, title
from tests.waiting import until

pytestmark = pytest.mark.process


def test_it_starts_everything_and_stops_it_within_three_seconds(server: RunningServer) -> None:
    server.start()
    everybody = descendants(server.process.pid)
    assert set(server.pids()) >= {"serve", "web", "agent", "qcluster", "sentinel", "worker", "monitor", "pusher"}
    for line in (f"dashboard   {server.url}/", f"API docs    {server.url}/docs", f"admin       {server.url}/admin/"):
        assert line in server.said()
    assert "`manage.py changepassword admin` gives one" in server.said()

    status, took_s = server.stop()

    assert (status, took_s < 3) == (0, True)
    assert [pid for pid in everybody if is_alive(pid)] == []
    assert "Traceback" not in server.said()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGHUP])
def test_it_stops_on_ctrl_c_and_when_the_terminal_closes(server: RunningServer, signum: int) -> None:
    server.start()
    everybody = descendants(server.process.pid)

    status, took_s = server.stop(signum, is_terminal=True)

    assert (status, took_s < 3) == (0, True)
    assert "died" not in server.said()
    assert [pid for pid in everybody if is_alive(pid)] == []


def test_it_tells_the_first_credentials_once(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "home", env={"API_KEYS": None}) as server:
        server.start()
        said = server.said()
        credentials = server.home / "credentials"
        key = said.split("API key")[1].split()[0]
        assert key in credentials.read_text()
        assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
        answer = httpx.get(f"{server.url}/api/v1/tasks", headers={"X-API-Key": key})
        assert answer.status_code == 200
        server.stop()

        server.start()

        assert server.said().count("password") == 1


def test_it_queues_the_demonstration_on_the_very_first_start_only(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "home", env={"MLSERVER_DEMO": "1"}) as server:
        server.start()
        server.stop()
        server.start()
        with sqlite3.connect(server.home / "db.sqlite3") as database:
            rows = database.execute("SELECT source, is_demo, priority FROM training_task").fetchall()
    assert rows == [("demo", 1, -100)]


def test_it_answers_on_every_address_it_is_told_to_listen_on(server: RunningServer) -> None:
    other = free_port()
    server.start("--listen", f"127.0.0.1:{other}")
    assert httpx.get(f"http://127.0.0.1:{other}/health").status_code == 200
    assert f"also at     http://127.0.0.1:{other}/" in server.said()


def test_it_warns_when_it_listens_beyond_the_machine_without_tls(server: RunningServer) -> None:
    server.start("--host", "0.0.0.0")
    assert "warning: listening beyond this machine without TLS" in server.said()


def test_the_key_of_the_command_line_wins_and_is_not_in_the_process_list(server: RunningServer) -> None:
    server.start("--api-keys", "key-from-the-command-line")
    answers = [
        httpx.get(f"{server.url}/api/v1/tasks", headers={"X-API-Key": key}).status_code
        for key in ("key-from-the-command-line", server.key)
    ]
    assert answers == [200, 401]
    assert title(server.process.pid) == "mlserver: serve"


def test_it_restarts_by_itself_when_a_source_file_is_touched(server: RunningServer) -> None:
    server.start("--reload")
    web = server.pid("web")
    os.utime(heartbeat.__file__)
    until(lambda: server.pids().get("web", [web])[0] != web and server.is_healthy(), within_s=20, what="restarted")
    assert server.process.poll() is None
