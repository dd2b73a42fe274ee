"""A locked database and a full disk: trainings go on, nothing is lost, what was lost is said."""

import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.counting import (
    assert_ended_once,
    ended_task,
    get,
    log_of,
    running_task,
    runs_of,
    submit,
    submit_counter,
)  # fmt: skip
from tests.services.postgresql import is_installed, postgresql
from tests.serving import RunningServer
from tests.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]

AWAY_S = 30


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path / "home", env={"MLSERVER_CPU_SLOTS": "8"}) as running:
        yield running.start()


@pytest.mark.skipif("DATABASE_URL" in os.environ, reason="locks the embedded database file")
def test_a_database_locked_for_30_s_loses_nothing(server: RunningServer) -> None:
    """Jobs start, speak and end while it is locked; a submission meanwhile is taken or refused with 503, never lost."""
    before = [
        submit_counter(server, numbers=numbers, exit_code=code) for numbers, code in ((60, 0), (200, 3), (700, 0))
    ]
    for task_id in before:
        running_task(server, task_id)
    lock = sqlite3.connect(server.home / "db.sqlite3", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    locked_at = time.monotonic()
    answer = server.api.post("/api/v1/tasks", json={"command": ["true"]})
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert "detail" in answer.json()
    assert server.is_healthy()
    until(lambda: time.monotonic() - locked_at > AWAY_S, within_s=AWAY_S + 5, what="the lock was held long enough")
    lock.execute("ROLLBACK")
    lock.close()
    after = submit_counter(server, numbers=3, exit_code=0)
    assert_ended_once(server, before[0], numbers=60, exit_code=0)
    assert_ended_once(server, before[1], numbers=200, exit_code=3)
    assert_ended_once(server, before[2], numbers=700, exit_code=0)
    assert_ended_once(server, after, numbers=3, exit_code=0)


def test_a_database_stopped_for_30_s_loses_nothing(tmp_path: Path) -> None:
    """The same with PostgreSQL, which is gone altogether and comes back."""
    if not is_installed():
        pytest.skip("PostgreSQL is not installed")
    with postgresql() as database:
        env = {"MLSERVER_CPU_SLOTS": "8", "DATABASE_URL": database.url}
        with RunningServer(tmp_path / "home", env=env) as server:
            server.start()
            counts = ((60, 0), (200, 3), (700, 0))
            task_ids = [submit_counter(server, numbers=numbers, exit_code=code) for numbers, code in counts]
            for task_id in task_ids:
                running_task(server, task_id)
            database.stop()
            stopped_at = time.monotonic()
            answer = server.api.post("/api/v1/tasks", json={"command": ["true"]})
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["Retry-After"]) > 0
            until(lambda: time.monotonic() - stopped_at > AWAY_S, within_s=AWAY_S + 5, what="it was away long enough")
            database.start()
            for task_id, (numbers, code) in zip(task_ids, counts, strict=True):
                assert_ended_once(server, task_id, numbers=numbers, exit_code=code)
            after = submit_counter(server, numbers=3, exit_code=0)
            assert_ended_once(server, after, numbers=3, exit_code=0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB; needs the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=24m tmpfs {disk} 2>/dev/null") != 0:
        pytest.skip("mounting a small file system needs root")
    yield disk
    os.system(f"umount -l {disk}")


def test_a_full_disk_kills_no_training_and_the_loss_is_an_event(small_disk: Path) -> None:
    """Home with database, logs and records lies on the full disk."""
    with RunningServer(small_disk / "home", env={"MLSERVER_CPU_SLOTS": "8"}) as server:
        server.output = small_disk.parent / "server.out"
        server.start()
        loud = submit(server, "echo start; sleep 1; head -c 60000000 /dev/zero | tr '\\0' x; sleep 3; exit 6")["id"]
        quiet = submit_counter(server, numbers=80, exit_code=2)
        for task_id in (loud, quiet):
            running_task(server, task_id)
        until(lambda: os.statvfs(small_disk).f_bavail == 0, within_s=20, what="the disk is full")
        records = [
            server.home / "control" / runs_of(server, task_id)[0]["id"] / "exit.json" for task_id in (loud, quiet)
        ]
        until(lambda: all(record.exists() for record in records), within_s=30, what="both wrote their exit records")
        loud_run = runs_of(server, loud)[0]
        (Path(loud_run["run_dir"]) / "logs.txt").write_text("made room\n")
        assert ended_task(server, loud, within_s=60)["status"] == "failed"
        assert ended_task(server, quiet, within_s=60)["status"] == "failed"
        assert [runs_of(server, task_id)[0]["exit_code"] for task_id in (loud, quiet)] == [6, 2]
        said = {event["reason"]: event["message"] for event in get(server, f"/api/v1/events?task={loud}")["results"]}
        assert "No space left on device" in said["LogLost"]
        assert log_of(server, runs_of(server, quiet)[0]["id"]).startswith("0\n1\n")
