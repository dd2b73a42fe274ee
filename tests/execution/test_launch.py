"""Launch: one claim, one start, or back into the line with the reason."""

import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.execution.placed import command_of, exit_of, log_of, placed
from tests.make import make_gpu, make_lease, make_node
from tests.together import together
from training import paths
from training.execution.control import Control
from training.execution.environment import job_environment
from training.execution.finish import finish
from training.execution.identity import ProcessIdentity
from training.execution.launch import hand_back, launch
from training.models import Event, Lease, Run, Task

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("engine")]
SERVERS_OWN = {
    "SECRET_KEY", "API_KEYS", "DATABASE_URL", "Q_REDIS_URL", "MLSERVER_HOME", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH",
}  # fmt: skip


def assert_handed_back(run: Run, task: Task, reason: str, *, delay_s: float) -> None:
    """The run and its leases are gone; its task waits with the reason."""
    assert not Run.objects.filter(pk=run.pk).exists()
    assert not Lease.objects.exists()
    task.refresh_from_db()
    assert (task.status, task.pending_runs, task.waiting_reason) == ("waiting", 1, reason)
    assert task.not_before is not None
    assert timezone.now() < task.not_before <= timezone.now() + timedelta(seconds=delay_s)
    assert Event.objects.get(reason="HandedBack").message == reason


@pytest.mark.process
def test_it_starts_the_command_under_a_detached_supervisor() -> None:
    run = placed(["sh", "-c", "echo out; echo $0; sleep 600", "word"])
    assert launch(run.pk) == f"{run.pk}: launched"
    command = command_of(run)
    row = run.processes.get()
    supervisor = ProcessIdentity(row.supervisor_pid or 0, row.supervisor_start_ticks or 0, row.boot_id)
    assert supervisor == Control(run.pk).supervisor()
    assert supervisor.is_alive()
    assert os.getsid(supervisor.pid) == supervisor.pid
    assert os.getsid(command.pid) == command.pid
    run.refresh_from_db()
    assert run.status == "starting"


@pytest.mark.process
def test_a_string_is_given_to_the_shell_in_the_run_directory() -> None:
    run = placed('echo "$PWD" && printf "%s\\n" "$MLSERVER_RUN_DIR"; exit 3')
    launch(run.pk)
    assert exit_of(run)["exit_code"] == 3
    assert log_of(run) == f"{run.directory}\n{run.directory}\n"


@pytest.mark.process
def test_nobody_else_can_read_what_the_server_says_of_it() -> None:
    run = placed()
    launch(run.pk)
    exit_of(run)
    directory = paths.control_dir(run.pk)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert all(
        stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in directory.iterdir() if path.name != "spec.json"
    )


@pytest.mark.process
def test_a_program_that_does_not_exist_is_launch_failed_with_the_reason() -> None:
    run = placed(["no-such-program"])
    launch(run.pk)
    exit_of(run)
    finish(run.pk)
    run.refresh_from_db()
    assert (run.status, run.exit_class) == ("failed", "launch_failed")
    assert run.exit_reason == "no-such-program: No such file or directory"
    assert Event.objects.get(run=run, reason="Failed").message == run.exit_reason


@pytest.mark.process
def test_it_starts_nothing_twice(tmp_path: Path) -> None:
    run = placed(f"echo started >> {tmp_path}/starts; sleep 600")
    launch(run.pk)
    assert launch(run.pk) == f"{run.pk}: not to be launched, it is starting"
    command_of(run)
    Run.objects.filter(pk=run.pk).update(launch_claimed_at=timezone.now() - timedelta(minutes=1))
    before = Control(run.pk).supervisor()
    assert launch(run.pk) == f"{run.pk}: launched"
    assert Control(run.pk).supervisor() == before
    assert run.processes.get().supervisor_pid == (before.pid if before else None)
    assert (tmp_path / "starts").read_text() == "started\n"


@pytest.mark.process
@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_two_launches_at_once_one_starts_it(tmp_path: Path) -> None:
    run = placed(f"echo started >> {tmp_path}/starts")
    said = together(*[lambda: launch(run.pk)] * 2)
    assert sorted(said) == [f"{run.pk}: launched", f"{run.pk}: not to be launched, it is starting"]
    exit_of(run)
    assert (tmp_path / "starts").read_text() == "started\n"


@pytest.mark.database
def test_a_claim_lasts_long_enough_to_launch_and_no_longer() -> None:
    run = placed()
    assert [run.claim_launch(), run.claim_launch(), run.claim_launch(stale_s=0)] == [True, False, True]


@pytest.mark.parametrize("status", ["running", "ending", "finished", "failed", "stopped"])
def test_it_launches_only_what_is_starting(status: str) -> None:
    run = placed(status=status)
    assert launch(run.pk) == f"{run.pk}: not to be launched, it is {status}"
    assert not Control(run.pk).directory.exists()


@pytest.mark.database
def test_it_hands_back_when_an_outsider_took_its_gpu() -> None:
    run = placed(gpus=1)
    make_lease(run, make_gpu(index=0))
    make_lease(run, make_gpu(index=1, foreign_process_count=2, foreign_memory_mib=900))
    task = run.task
    said = launch(run.pk)
    reason = "GPU 1: in use outside this server: 2 processes, 900 MiB"
    assert said == f"{run.pk}: handed back, {reason}"
    assert_handed_back(run, task, reason, delay_s=1)


def test_it_hands_back_when_its_gpu_was_switched_off() -> None:
    run = placed(gpus=1)
    make_lease(run, make_gpu(is_enabled=False))
    task = run.task
    launch(run.pk)
    assert_handed_back(run, task, "GPU 0: switched off by an administrator", delay_s=1)


def test_a_gpu_it_does_not_hold_any_more_is_no_reason() -> None:
    run = placed()
    make_lease(run, make_gpu(is_enabled=False), released_at=timezone.now())
    paths.control_root().write_text("so that nothing is started")
    assert "Not a directory" in launch(run.pk)


def test_it_hands_back_with_the_systems_reason_when_the_server_cannot_prepare_it() -> None:
    paths.control_root().write_text("a file where a directory should be")
    run = placed()
    task = run.task
    launch(run.pk)
    reason = f"the server could not start it: Not a directory ({paths.control_dir(run.pk)})"
    assert_handed_back(run, task, reason, delay_s=15)


def test_it_hands_back_when_the_account_of_jobs_is_gone(settings: Any) -> None:
    settings.JOB_USER = "nobody-of-this-name"
    run = placed()
    task = run.task
    launch(run.pk)
    reason = "the server could not start it: no such user (nobody-of-this-name)"
    assert_handed_back(run, task, reason, delay_s=15)


def test_a_run_handed_back_beside_another_leaves_the_task_active() -> None:
    paths.control_root().write_text("")
    run = placed(repeat=2)
    other = Run.objects.create(task=run.task, owner=run.owner, status="running")
    launch(run.pk)
    task = Task.objects.get()
    assert (task.status, task.pending_runs) == ("active", 1)
    assert list(task.runs.all()) == [other]


def test_a_run_that_was_stopped_while_it_was_checked_ends_instead() -> None:
    run = placed()
    run.claim_launch()
    run.task.request_stop("stopped by ada")
    Run.objects.get(pk=run.pk).request_stop("stopped by ada")
    assert hand_back(run, "a reason") == f"{run.pk}: stopped before it was launched"
    run.refresh_from_db()
    assert (run.status, run.task.status) == ("stopped", "stopped")


def test_a_job_sees_none_of_the_servers_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in SERVERS_OWN:
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    run = placed(env={"LR": "0.1", "CUDA_VISIBLE_DEVICES": "0,1,2,3", "PYTHONUNBUFFERED": ""})
    seen = job_environment(run, run.task, tmp_path)
    assert SERVERS_OWN & seen.keys() == {"PYTHONPATH"}
    assert seen["PYTHONPATH"] == str(paths.sdk_root())
    assert "secret" not in seen.values()
    assert (seen["LR"], seen["LANG"], seen["PYTHONUNBUFFERED"]) == ("0.1", "C.UTF-8", "1")
    assert (seen["MLSERVER_RUN_ID"], seen["MLSERVER_TASK_ID"]) == (run.pk, str(run.task_id))
    assert (seen["MLSERVER_RUN_DIR"], seen["RUNICORN_DIR"]) == (str(tmp_path), str(tmp_path / ".runicorn"))
    assert seen["CUDA_VISIBLE_DEVICES"] == ""


def test_a_job_has_a_path_even_when_the_server_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PATH")
    run = placed()
    assert job_environment(run, run.task, tmp_path)["PATH"] == os.defpath
    run.task.env = {"PATH": "/opt/bin"}
    assert job_environment(run, run.task, tmp_path)["PATH"] == "/opt/bin"


def test_a_job_sees_the_gpus_it_holds_in_order(tmp_path: Path) -> None:
    run = placed(gpus=2)
    node = make_node()
    for index, released_at in ((3, None), (1, None), (2, timezone.now())):
        make_lease(run, make_gpu(node, index=index, uuid=f"GPU-{index}"), released_at=released_at)
    seen = job_environment(run, run.task, tmp_path)
    assert (seen["CUDA_VISIBLE_DEVICES"], seen["CUDA_DEVICE_ORDER"]) == ("GPU-1,GPU-3", "PCI_BUS_ID")


@pytest.mark.process
def test_the_environment_reaches_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS", "secret")
    run = placed(["env"], env={"LR": "0.1", "LONG": "π" * 1000})
    launch(run.pk)
    exit_of(run)
    lines = log_of(run).splitlines()
    assert {"LR=0.1", f"LONG={'π' * 1000}", f"MLSERVER_RUN_ID={run.pk}", "CUDA_VISIBLE_DEVICES="} <= set(lines)
    assert not [line for line in lines if "secret" in line]
