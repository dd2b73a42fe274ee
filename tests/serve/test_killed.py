"""SIGKILL of each process of a server: it comes back by itself, or the next start cleans up."""

import json
import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from tests.serving import RunningServer, descendants, is_alive
from tests.waiting import until
from training.execution.identity import ProcessIdentity

pytestmark = pytest.mark.process

QCLUSTER = ("qcluster", "sentinel", "worker", "monitor", "pusher")


@pytest.fixture
def server(server: RunningServer) -> RunningServer:
    return server.start()


@pytest.mark.parametrize("role", ["web", "agent", *QCLUSTER])
def test_it_replaces_a_process_that_was_killed(server: RunningServer, role: str) -> None:
    before = server.pids()

    killed = server.kill9(role)

    until(lambda: server.pids().get(role, [killed])[0] != killed, within_s=5, what=f"another {role}")
    server.assert_runs_a_task()
    if role in QCLUSTER:
        old = [pid for other in QCLUSTER for pid in before[other]]
        until(lambda: not [pid for pid in old if is_alive(pid)], what="nobody of the old qcluster takes tasks")
    kept = {"serve", "web", "agent"} - {role}
    assert {other: server.pids()[other] for other in kept} == {other: before[other] for other in kept}


def test_it_tells_in_an_event_what_it_restarted(server: RunningServer) -> None:
    server.kill9("web")
    with sqlite3.connect(server.home / "db.sqlite3") as database:
        found = "SELECT type, message FROM training_event WHERE reason = 'Restarted'"
        rows = until(lambda: database.execute(found).fetchall(), what="an event")
    assert rows == [("Warning", "web ended by signal 9 and is started again")]


def test_requests_wait_for_a_web_process_that_was_killed_instead_of_being_refused(server: RunningServer) -> None:
    server.kill9("web")
    assert server.api.get("/health").status_code == 200


def test_it_restarts_a_qcluster_that_stands_still(server: RunningServer) -> None:
    worker = server.pid("worker")
    os.kill(worker, signal.SIGSTOP)
    until(lambda: server.pids().get("worker", [worker])[0] != worker, within_s=40, what="another worker")
    server.assert_runs_a_task()
    assert "the qcluster executes no tasks, ending it" in server.said()


def test_it_restarts_a_web_process_that_stands_still(server: RunningServer) -> None:
    stopped = server.pid("web")
    os.kill(stopped, signal.SIGSTOP)
    until(lambda: server.pids().get("web", [stopped])[0] != stopped, within_s=45, what="another web process")
    server.assert_runs_a_task()
    messages = [event["message"] for event in server.api.get("/api/v1/events").json()["results"]]
    assert any(message.startswith("the web process answered nothing for") for message in messages)


def test_nothing_survives_a_killed_serve_and_the_next_start_works(server: RunningServer) -> None:
    everybody = descendants(server.process.pid)
    assert len(everybody) >= 8

    server.kill9("serve")

    until(lambda: not [pid for pid in everybody if is_alive(pid)], within_s=3, what="children gone")
    server.start()
    server.assert_runs_a_task()


def test_the_next_start_ends_what_an_earlier_serve_left_by_identity(server: RunningServer) -> None:
    server.stop()
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(command) as left, subprocess.Popen(command) as stranger:
        recycled = ProcessIdentity.of(stranger.pid).__dict__ | {"start_ticks": 1}
        record = {"sentinel": ProcessIdentity.of(left.pid).__dict__, "worker": recycled}
        (server.home / "qcluster.json").write_text(json.dumps(record))

        server.start()

        assert left.wait(timeout=5) == -signal.SIGKILL
        assert stranger.poll() is None
        stranger.kill()


def test_an_unreadable_record_does_not_stop_the_next_start(server: RunningServer) -> None:
    server.stop()
    (server.home / "serve.json").write_text('{"web": [')
    server.start()
    assert "serve.json cannot be read" in server.said()
