"""Watching supervisors: what is noted, and what follows when one is gone without a word."""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.execution.placed import command_of, exit_of, placed, recorded
from tests.execution.supervised import is_running
from tests.waiting import until
from training.execution.control import Control
from training.execution.finish import finish
from training.execution.identity import ProcessIdentity, boot_id
from training.execution.launch import launch
from training.execution.remains import remaining_processes
from training.execution.supervision import tree
from training.execution.watch import Watch, Watched
from training.models import Event, Run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("engine")]

DOUBLE_FORK = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1] + ".new", "w").write(str(os.getpid()))
        os.rename(sys.argv[1] + ".new", sys.argv[1])
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(600)
"""


@pytest.fixture
def watch() -> Iterator[Watch]:
    with selectors.DefaultSelector() as selector:
        made = Watch(selector)
        yield made
        for watched in list(made.watched.values()):
            made.detach(watched.control)


def next_end(watch: Watch) -> Watched:
    """Wait for a descriptor to become readable, as the agent does."""
    [(key, _), *_] = watch.selector.select(10)
    watched: Watched = key.data
    return watched


def after_finish(run: Run) -> Run:
    finish(run.pk)
    return Run.objects.select_related("task").get(pk=run.pk)


def own_identity() -> ProcessIdentity:
    found = ProcessIdentity.of(os.getpid())
    assert found is not None
    return found


def write_identity(run: Run, name: str, who: ProcessIdentity, **changes: Any) -> None:
    record = {"pid": who.pid, "start_ticks": who.start_ticks, "boot_id": who.boot_id, "started_at": time.time() - 5}
    Control(run.pk).write(name, {**record, **changes})


@pytest.fixture
def bystander() -> Iterator[ProcessIdentity]:
    """Somebody else's process, leader of a session of its own."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        found = ProcessIdentity.of(process.pid)
        assert found is not None
        yield found
        process.kill()


@pytest.mark.process
def test_it_notes_the_start_once(watch: Watch) -> None:
    run = placed(["sleep", "600"])
    launch(run.pk)
    command = command_of(run)
    watch.look_at(run.pk)
    watch.look_at(run.pk)
    run.refresh_from_db()
    process = run.processes.get()
    assert run.status == "running"
    assert (process.pid, process.start_ticks, process.boot_id) == (command.pid, command.start_ticks, boot_id())
    assert run.started_at == process.started_at
    assert Event.objects.filter(run=run, reason="Started").count() == 1


@pytest.mark.process
def test_a_second_look_at_a_running_run_is_no_query(watch: Watch, django_assert_num_queries: Any) -> None:
    run = placed(["sleep", "600"])
    launch(run.pk)
    command_of(run)
    watch.look_at(run.pk)
    with django_assert_num_queries(0):
        watch.look_at(run.pk)


@pytest.mark.process
def test_it_sees_the_end_and_asks_for_finish(watch: Watch, django_capture_on_commit_callbacks: Any) -> None:
    run = placed("sleep 0.1; exit 3")
    launch(run.pk)
    command_of(run)
    watch.look_at(run.pk)
    with django_capture_on_commit_callbacks() as asked:
        watch.supervisor_ended(next_end(watch))
    assert len(asked) == 1
    assert watch.watched == {}
    assert watch.selector.get_map() == {}
    assert after_finish(run).exit_code == 3


def test_it_asks_for_finish_once_for_all_signs_of_an_end(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("training.execution.watch.ask_for_finish", asked.append)
    first, second = placed(), placed()
    recorded(first, exit_code=0)
    for _ in range(3):
        watch.look_at(first.pk)
    watch.supervisor_ended(Watched(Control(first.pk), own_identity(), os.pidfd_open(os.getpid())))
    recorded(second, exit_code=0)
    watch.look_at(second.pk)
    assert asked == [first.pk, second.pk]


def test_it_finds_an_exit_record_written_while_nobody_watched(
    watch: Watch, django_capture_on_commit_callbacks: Any
) -> None:
    run = placed()
    write_identity(run, "supervisor", own_identity())
    recorded(run)
    with django_capture_on_commit_callbacks() as asked:
        watch.look_at(run.pk)
    assert (len(asked), watch.watched) == (1, {})


@pytest.mark.process
@pytest.mark.parametrize("is_watched", [True, False])
def test_the_processes_of_a_killed_supervisor_are_ended(watch: Watch, tmp_path: Path, is_watched: bool) -> None:
    run = placed([sys.executable, "-c", DOUBLE_FORK, str(tmp_path / "daemon")])
    launch(run.pk)
    command = command_of(run)
    daemon = int(until(lambda: (tmp_path / "daemon").exists() and (tmp_path / "daemon").read_text()) or 0)
    supervisor = Control(run.pk).supervisor()
    assert supervisor is not None
    if is_watched:
        watch.look_at(run.pk)
    supervisor.send(9)
    if is_watched:
        watch.supervisor_ended(next_end(watch))
    else:
        until(lambda: not supervisor.is_alive())
        watch.look_at(run.pk)
    assert not is_running(command.pid)
    assert not is_running(daemon)
    assert remaining_processes(run.pk) == {}
    run = after_finish(run)
    assert (run.status, run.exit_class, run.exit_code) == ("failed", "killed", None)
    assert run.exit_reason == "its supervisor was killed; 2 remaining processes were ended"
    assert run.started_at is not None


@pytest.mark.process
def test_a_daemon_that_cleared_its_environment_is_found_by_its_session(watch: Watch) -> None:
    run = placed(["env", "-i", "sleep", "600"])
    launch(run.pk)
    command = command_of(run)
    until(lambda: b"sleep" in Path(f"/proc/{command.pid}/cmdline").read_bytes().split(b"\0")[0])
    assert list(remaining_processes(run.pk)) == [command.pid]


def test_a_supervisor_of_another_boot_is_node_lost_and_nobody_is_signalled(watch: Watch) -> None:
    run = placed(status="running")
    for name in ("supervisor", "exec"):
        write_identity(run, name, own_identity(), boot_id="another boot")
    watch.look_at(run.pk)
    run = after_finish(run)
    assert (run.status, run.exit_class) == ("failed", "node_lost")
    assert run.exit_reason == "the machine was restarted while it ran"
    assert run.started_at is not None


def test_a_supervisor_of_another_boot_known_only_to_the_database_is_node_lost(watch: Watch) -> None:
    run = placed()
    run.processes.update(supervisor_pid=os.getpid(), supervisor_start_ticks=1, boot_id="another boot")
    watch.look_at(run.pk)
    assert after_finish(run).exit_class == "node_lost"


def test_an_end_that_was_recorded_before_the_reboot_counts(watch: Watch) -> None:
    run = placed(status="running")
    write_identity(run, "supervisor", own_identity(), boot_id="another boot")
    recorded(run, exit_code=0)
    watch.look_at(run.pk)
    assert after_finish(run).status == "finished"


@pytest.mark.process
def test_who_got_the_numbers_of_ended_processes_is_left_alone(watch: Watch, bystander: ProcessIdentity) -> None:
    run = placed(status="running")
    for name in ("supervisor", "exec"):
        write_identity(run, name, bystander, start_ticks=bystander.start_ticks - 1)
    watch.look_at(run.pk)
    assert bystander.is_alive()
    assert after_finish(run).exit_reason == "its supervisor was killed; 0 remaining processes were ended"


def test_a_supervisor_that_could_not_start_is_launch_failed_in_its_own_words(watch: Watch) -> None:
    run = placed()
    run.processes.update(supervisor_pid=os.getpid(), supervisor_start_ticks=1, boot_id=boot_id())
    Control(run.pk).create()
    (Control(run.pk).directory / "supervisor.err").write_text("Traceback\nImportError: no module\n")
    watch.look_at(run.pk)
    run = after_finish(run)
    assert run.exit_class == "launch_failed"
    assert run.exit_reason.endswith("ImportError: no module")


@pytest.mark.process
def test_a_supervisor_that_finds_no_order_is_launch_failed(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('the disk is broken')\n")
    monkeypatch.setattr("training.execution.launch.supervisor.__file__", str(broken))
    run = placed()
    launch(run.pk)
    said = until(lambda: Control(run.pk).supervisor_said())
    until(lambda: not watch.look_at(run.pk) and Control(run.pk).read("exit"))
    assert said == "the disk is broken"
    assert after_finish(run).exit_reason == "the supervisor could not start the command: the disk is broken"


def test_a_run_that_nobody_launched_yet_is_left_alone(watch: Watch) -> None:
    run = placed()
    watch.look_at(run.pk)
    assert Control(run.pk).read("exit") is None
    assert watch.watched == {}


def test_records_in_its_name_never_replace_the_supervisors_own() -> None:
    run = placed()
    recorded(run, exit_code=3)
    assert Control(run.pk).write_exit({"class": "killed"}) is False
    assert exit_of(run)["exit_code"] == 3


@pytest.mark.parametrize("status", ["finished", "stopped", "failed"])
def test_a_late_record_starts_no_ended_run(watch: Watch, status: str) -> None:
    run = placed(status=status)
    write_identity(run, "exec", own_identity())
    watch.look_at(run.pk)
    run.refresh_from_db()
    assert run.status == status
    assert not Event.objects.exists()


def test_a_run_told_to_stop_does_not_become_running(watch: Watch) -> None:
    run = placed(status="ending")
    write_identity(run, "exec", own_identity())
    watch.look_at(run.pk)
    run.refresh_from_db()
    assert run.status == "ending"


def test_it_attaches_to_every_rank(watch: Watch) -> None:
    run = placed(ranks=2, status="running")
    for rank in (0, 1):
        who = own_identity()
        record = {"pid": who.pid, "start_ticks": who.start_ticks, "boot_id": who.boot_id}
        Control(run.pk, rank).write("supervisor", record)
    watch.look_at(run.pk, (0, 1))
    assert set(watch.watched) == {(run.pk, 0), (run.pk, 1)}


def test_heartbeats_are_one_statement_for_all_watched_runs(watch: Watch, django_assert_num_queries: Any) -> None:
    runs = [placed(status="running") for _ in range(3)]
    for run in runs[:2]:
        write_identity(run, "supervisor", own_identity())
        watch.look_at(run.pk)
    Run.objects.update(is_stale=True)
    with django_assert_num_queries(1):
        watch.note_heartbeats()
    beats = dict(Run.objects.values_list("pk", "heartbeat_at"))
    now = timezone.now()
    assert all(beat and (now - beat).total_seconds() < 5 for beat in (beats[run.pk] for run in runs[:2]))
    assert beats[runs[2].pk] is None
    assert list(Run.objects.filter(is_stale=True)) == [runs[2]]


def test_nothing_watched_is_no_heartbeat(watch: Watch, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        watch.note_heartbeats()


@pytest.mark.process
def test_it_tells_our_processes_from_others(watch: Watch, bystander: ProcessIdentity) -> None:
    run = placed("sleep 600 & wait")
    launch(run.pk)
    command = command_of(run)
    watch.look_at(run.pk)
    child = until(lambda: [pid for pid in remaining_processes(run.pk) if pid != command.pid])[0]
    assert watch.is_ours(command.pid)
    assert watch.is_ours(child)
    assert not watch.is_ours(bystander.pid)
    assert not watch.is_ours(os.getpid())
    assert not watch.is_ours(2**22 + 1)


def test_a_record_that_a_power_failure_left_in_pieces_counts_as_none(engine: Path) -> None:
    run = placed(status="running")
    control = Control(run.pk)
    gone = {"pid": 1, "start_ticks": 1, "boot_id": "an-earlier-boot", "started_at": 1.0}
    control.write("supervisor", gone)
    control.write("exec", gone)
    (control.directory / "exit.json").write_text(" " * 16384)
    with selectors.DefaultSelector() as selector:
        Watch(selector).look_at(run.pk)
    assert (control.read("exit") or {})["class"] == "node_lost"


@pytest.mark.process
def test_a_process_that_survives_sigkill_is_given_up_after_a_while(engine: Path, monkeypatch: Any) -> None:
    run = placed(["sleep", "600"])
    launch(run.pk)
    command = command_of(run)
    supervisor = Control(run.pk).supervisor()
    assert supervisor is not None
    monkeypatch.setattr(tree, "send", lambda *_: False)  # the process seam: a process that no signal reaches
    os.kill(supervisor.pid, signal.SIGKILL)
    until(lambda: not supervisor.is_alive())
    with selectors.DefaultSelector() as selector:
        watch = Watch(selector)
        watch.look_at(run.pk)
        assert Control(run.pk).read("exit") is None, "it is tried again first"
        watch.lost_at[run.pk] -= 60
        watch.look_at(run.pk)
    record = Control(run.pk).read("exit") or {}
    assert record["class"] == "killed"
    assert f"process {command.pid} survives SIGKILL" in record["error"]
    monkeypatch.undo()
    os.kill(command.pid, signal.SIGKILL)
