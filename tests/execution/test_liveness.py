"""Runs outside the queue whose process is gone."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.make import make_process, make_run, make_sdk_run
from training.execution.identity import ProcessIdentity
from training.execution.liveness import STALE_AFTER, check_outside_runs
from training.models import Event, Run

pytestmark = pytest.mark.django_db

HERE = socket.gethostname()


@pytest.fixture
def living() -> Iterator[ProcessIdentity]:
    """Another process of this machine."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    who = ProcessIdentity.of(child.pid)
    assert who is not None
    yield who
    child.communicate(b"\n")


@pytest.fixture
def gone() -> ProcessIdentity:
    """One that has ended: its pid is that of nobody."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    who = ProcessIdentity.of(child.pid)
    child.communicate(b"\n")
    assert who is not None
    return who


def outside(who: ProcessIdentity, host: str = HERE, **fields: Any) -> Run:
    run = make_sdk_run(host=host, heartbeat_at=timezone.now())
    about = {"pid": who.pid, "start_ticks": who.start_ticks, "boot_id": who.boot_id, **fields}
    make_process(run, **about)
    return run


def after(run: Run) -> Run:
    run.refresh_from_db()
    return run


def test_a_run_whose_process_is_gone_has_failed(gone: ProcessIdentity) -> None:
    run = outside(gone)
    assert check_outside_runs() == (1, 1)
    after(run)
    assert (run.status, run.exit_class, run.exit_reason) == ("failed", "killed", "process_not_found")
    assert run.ended_at is not None
    assert run.processes.get().ended_at is not None
    assert Event.objects.get(run=run).reason == "Failed"
    assert check_outside_runs() == (0, 0)


def test_a_living_process_is_a_heartbeat(living: ProcessIdentity) -> None:
    run = outside(living)
    long_ago = timezone.now() - timedelta(hours=1)
    Run.objects.update(is_stale=True, heartbeat_at=long_ago)
    assert check_outside_runs() == (1, 0)
    after(run)
    assert (run.status, run.is_stale, run.heartbeat_at > long_ago) == ("running", False, True)


@pytest.mark.parametrize(
    ("host", "fields", "status"),
    [
        (HERE, {"start_ticks": 1}, "failed"),  # the number was given to another process
        (HERE, {"boot_id": "of the boot before"}, "failed"),  # the machine was restarted
        ("", {"boot_id": "of the boot before"}, "running"),  # of a client that does not say where it is
        ("", {"boot_id": "", "start_ticks": None}, "running"),
        ("another-machine", {"start_ticks": 1}, "running"),  # a container of this machine has the same boot id
        ("another-machine", {"boot_id": "b"}, "running"),
        (HERE, {"boot_id": "", "start_ticks": None}, "running"),  # no more than a number, and it is there
        (HERE, {"pid": None}, "running"),
    ],
)
def test_it_ends_only_what_is_certainly_gone(host: str, fields: Any, status: str, living: ProcessIdentity) -> None:
    run = outside(living, host, **fields)
    assert check_outside_runs() == (1, int(status == "failed"))
    assert after(run).status == status


def test_of_an_imported_run_the_host_and_the_number_decide(gone: ProcessIdentity) -> None:
    here, there = (outside(gone, host, boot_id="", start_ticks=None) for host in (HERE, "another-machine"))
    assert check_outside_runs() == (2, 1)
    assert (after(here).status, after(there).status) == ("failed", "running")


def test_a_run_of_several_processes_lives_as_long_as_one_of_them(
    living: ProcessIdentity, gone: ProcessIdentity
) -> None:
    run = outside(gone)
    make_process(run, rank=1, pid=living.pid, start_ticks=living.start_ticks, boot_id=living.boot_id)
    assert check_outside_runs() == (1, 0)


def test_a_silent_run_of_elsewhere_is_stale_and_never_ended(gone: ProcessIdentity) -> None:
    silent, heard, unheard = (outside(gone, "another-machine") for _ in range(3))
    old = timezone.now() - STALE_AFTER - timedelta(seconds=1)
    Run.objects.filter(pk=silent.pk).update(heartbeat_at=old)
    Run.objects.filter(pk=unheard.pk).update(heartbeat_at=None, created_at=old)
    for _ in range(2):
        assert check_outside_runs() == (3, 0)
    assert [after(run).is_stale for run in (silent, heard, unheard)] == [True, False, True]
    assert {run.status for run in (silent, heard, unheard)} == {"running"}
    assert silent.note_heartbeat()
    assert after(silent).is_stale is False


def test_it_leaves_runs_of_tasks_to_their_supervisors(gone: ProcessIdentity) -> None:
    run = make_run()
    make_process(run, pid=gone.pid, start_ticks=gone.start_ticks, boot_id=gone.boot_id)
    assert check_outside_runs() == (0, 0)
    assert after(run).status == "running"


@pytest.mark.parametrize("runs", [1, 20])
def test_it_asks_the_database_as_often_for_many_runs(runs: int, django_assert_num_queries: Any) -> None:
    me = ProcessIdentity.of(os.getpid())
    assert me is not None
    for _ in range(runs):
        outside(me)
    with django_assert_num_queries(3):  # runs, processes, heartbeats
        assert check_outside_runs() == (runs, 0)
