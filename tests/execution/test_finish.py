"""Finish: what follows from exit records, once, however often and by however many it is called."""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from gpus.driver import DriverSilentError
from gpus.models import Gpu
from tests.execution.placed import placed, placed_again, recorded
from tests.make import make_gpu, make_lease, make_sdk_run
from tests.together import together
from training.execution import remains
from training.execution.control import Control
from training.execution.finish import finish
from training.execution.settle import settle
from training.models import Event, Run, Task

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


def ended(run: Run, rank: int = 0, **record: Any) -> Task:
    """Record an exit, finish, and answer the task."""
    recorded(run, rank, **record)
    finish(run.pk)
    run.refresh_from_db()
    return Task.objects.get(pk=run.task_id)


def warnings_of(run: Run) -> dict[str, str]:
    return dict(Event.objects.filter(run=run, type="Warning").values_list("reason", "message"))


def test_it_waits_for_an_exit_record() -> None:
    run = placed(status="running")
    assert finish(run.pk) == f"{run.pk}: no exit record yet"
    run.refresh_from_db()
    assert run.status == "running"


@pytest.mark.database
def test_exit_code_0_completes_run_and_task() -> None:
    run = placed(status="running")
    lease = make_lease(run)
    task = ended(run)
    assert (run.status, run.exit_class, run.exit_code, run.exit_reason) == ("finished", "ok", 0, "exit code 0")
    assert run.started_at is not None
    assert run.ended_at is not None
    assert run.ended_at - run.started_at == timedelta(seconds=1)
    assert (task.status, task.runs_completed, task.waiting_reason) == ("completed", 1, "")
    assert task.ended_at is not None
    lease.refresh_from_db()
    assert lease.released_at is not None
    process = run.processes.get()
    assert (process.pid, process.exit_code, process.max_rss_mib, process.cpu_s) == (4242, 0, 20, 0.5)
    assert list(Event.objects.order_by("pk").values_list("reason", "type", "run_id")) == [
        ("Finished", "Normal", run.pk),
        ("Completed", "Normal", None),
    ]


def test_another_exit_code_fails_both_with_a_warning() -> None:
    run = placed(status="running")
    task = ended(run, exit_code=3)
    assert (run.status, run.exit_class, run.exit_code) == ("failed", "error", 3)
    assert (task.status, task.runs_failed, task.runs_completed) == ("failed", 1, 0)
    assert warnings_of(run) == {"Failed": "exit code 3"}


def test_a_run_can_end_before_anybody_saw_it_running() -> None:
    run = placed(status="starting")
    assert ended(run).status == "completed"
    assert run.started_at is not None


def test_a_command_that_did_not_start_has_no_start() -> None:
    run = placed(status="starting", max_retries=3)
    task = ended(run, exit_code=None, pid=None, error="nowhere: No such file or directory")
    assert (run.exit_class, run.exit_reason, run.started_at) == (
        "launch_failed", "nowhere: No such file or directory", None,
    )  # fmt: skip
    assert run.processes.get().started_at is None
    assert task.status == "failed"


@pytest.mark.database
def test_twice_is_as_good_as_once() -> None:
    run = placed(status="running")
    task = ended(run)
    events = Event.objects.count()
    assert finish(run.pk) == f"{run.pk}: nothing to finish"
    task.refresh_from_db()
    assert (task.runs_completed, Event.objects.count()) == (1, events)


@pytest.mark.database
def test_who_read_the_run_before_it_ended_changes_nothing_after() -> None:
    run = placed(status="running")
    late = Run.objects.get(pk=run.pk)
    assert settle(run, "finished", "ok", "exit code 0") is True
    events = Event.objects.count()
    assert settle(late, "failed", "killed", "its supervisor was killed") is False
    task = Task.objects.get()
    assert (task.status, task.runs_completed, task.runs_failed) == ("completed", 1, 0)
    assert (Run.objects.get().status, Event.objects.count()) == ("finished", events)


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_two_at_once_count_once() -> None:
    run = placed(status="running")
    make_lease(run)
    recorded(run, exit_code=1)
    together(*[lambda: finish(run.pk)] * 2)
    task = Task.objects.get()
    assert (task.status, task.runs_failed) == ("failed", 1)
    assert sorted(Event.objects.values_list("reason", flat=True)) == ["Failed", "Failed"]


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_two_repeats_that_end_at_once_are_both_counted() -> None:
    first = placed(status="running", repeat=2)
    second = placed_again(first.task, status="running")
    recorded(first)
    recorded(second)
    together(lambda: finish(first.pk), lambda: finish(second.pk))
    task = Task.objects.get()
    assert (task.status, task.runs_completed) == ("completed", 2)


@pytest.mark.database
def test_retries_wait_twice_as_long_each_time() -> None:
    run = placed(status="running", max_retries=3, backoff_s=10)
    for number, delay_s in enumerate((10, 20, 40), start=1):
        before = timezone.now()
        task = ended(run, exit_code=1)
        assert (task.status, task.pending_runs, task.retries_used, task.runs_failed) == ("waiting", 1, number, 0)
        assert task.not_before is not None
        assert delay_s - 0.1 <= (task.not_before - before).total_seconds() <= delay_s + 5
        assert task.waiting_reason == f"run {run.pk} failed (error); retry {number} of 3 in {delay_s} s"
        assert not Task.objects.placeable().exists()
        Task.objects.filter(pk=task.pk).update(status="active", pending_runs=0)
        run = placed_again(task, status="running")
    task = ended(run, exit_code=1)
    assert (task.status, task.runs_failed, task.pending_runs) == ("failed", 1, 0)


def test_no_retry_waits_longer_than_an_hour() -> None:
    task = ended(placed(max_retries=100, retries_used=99, backoff_s=3600), exit_code=1)
    assert task.not_before is not None
    assert task.not_before <= timezone.now() + timedelta(hours=1)


@pytest.mark.parametrize(
    ("record", "exit_class", "is_retried"),
    [
        ({"exit_code": 1}, "error", True),
        ({"exit_code": None, "exit_signal": 11}, "killed", True),
        ({"exit_code": 137, "oom_kills": 1}, "oom", True),
        ({"class": "node_lost", "exit_code": None}, "node_lost", True),
        ({"exit_code": None, "exit_signal": 15, "stop_reason": "timeout"}, "timeout", False),
        ({"exit_code": None, "exit_signal": 15, "stop_reason": "stopped"}, "stopped", False),
        ({"exit_code": None, "pid": None, "error": "x"}, "launch_failed", False),
    ],
)
def test_it_retries_what_may_go_better_next_time(record: dict[str, Any], exit_class: str, is_retried: bool) -> None:
    run = placed(status="running", max_retries=1)
    task = ended(run, **record)
    assert (run.exit_class, task.status == "waiting") == (exit_class, is_retried)


def test_a_stopped_task_is_not_retried_even_when_its_run_failed() -> None:
    run = placed(status="ending", max_retries=5, stop_requested_at=timezone.now())
    task = ended(run, exit_code=1)
    assert (run.status, task.status, task.retries_used, task.runs_failed) == ("failed", "stopped", 0, 0)


def test_a_task_stopped_too_late_is_stopped_and_its_run_finished() -> None:
    run = placed(status="ending", stop_requested_at=timezone.now())
    task = ended(run)
    assert (run.status, task.status, task.runs_completed) == ("finished", "stopped", 1)


def test_a_task_with_repeats_to_place_waits_for_the_next() -> None:
    run = placed(status="running", repeat=3, pending_runs=2)
    task = ended(run)
    assert (task.status, task.pending_runs, task.runs_completed) == ("waiting", 2, 1)
    assert Task.objects.placeable().get() == task


def test_a_task_stays_active_until_its_last_repeat_has_ended() -> None:
    first = placed(status="running", repeat=2)
    second = placed_again(first.task, status="running")
    assert ended(first, exit_code=1).status == "active"
    task = ended(second)
    assert (task.status, task.runs_failed, task.runs_completed) == ("failed", 1, 1)


def test_a_retry_beside_a_running_repeat_keeps_the_task_active() -> None:
    first = placed(status="running", repeat=2, max_retries=1)
    second = placed_again(first.task, status="running")
    task = ended(first, exit_code=1)
    assert (task.status, task.pending_runs) == ("active", 1)
    assert ended(second).status == "waiting"


def test_a_rank_that_fails_ends_the_others() -> None:
    run = placed(ranks=3, status="running", grace_s=7)
    recorded(run, 1, exit_code=5)
    assert finish(run.pk) == f"{run.pk}: waits for rank 0, 2"
    for rank in (0, 2):
        assert Control(run.pk, rank).read("stop") == {"reason": "rank_failed", "grace_s": 7.0}
    assert Control(run.pk, 1).read("stop") is None
    run.refresh_from_db()
    assert run.status == "running"


def test_a_rank_that_is_done_waits_for_the_others() -> None:
    run = placed(ranks=2, status="running")
    recorded(run, 0)
    assert finish(run.pk) == f"{run.pk}: waits for rank 1"
    assert Control(run.pk, 1).read("stop") is None
    assert ended(run, 1).status == "completed"


@pytest.mark.parametrize("failed_rank", [0, 1])
def test_the_rank_that_failed_first_decides(failed_rank: int) -> None:
    run = placed(ranks=2, status="running")
    recorded(run, failed_rank, exit_code=5)
    finish(run.pk)
    task = ended(run, 1 - failed_rank, exit_code=None, exit_signal=15, stop_reason="rank_failed")
    assert (run.status, run.exit_code, run.exit_reason) == ("failed", 5, "exit code 5")
    assert task.status == "failed"
    assert dict(run.processes.values_list("rank", "exit_code")) == {failed_rank: 5, 1 - failed_rank: None}


def test_one_stopped_rank_makes_the_run_stopped() -> None:
    run = placed(ranks=2, status="ending")
    recorded(run, 0)
    ended(run, 1, exit_code=None, exit_signal=15, stop_reason="stopped")
    assert run.status == "stopped"


@pytest.mark.parametrize(
    ("record", "reason", "said"),
    [
        ({"lost_bytes": 7, "notes": ["log: No space left on device"]}, "LogLost", "7 bytes of output"),
        ({"notes": ["log: Input/output error"]}, "LogLost", "Input/output error"),
        ({"dropped_bytes": 9}, "LogLimit", "9 bytes of output were dropped"),
        ({"notes": ["the log was deleted and put back"]}, "LogRestored", "put back"),
        ({"leftovers": 2}, "LeftoversEnded", "2 processes outlived the command"),
    ],
)
def test_it_says_what_went_wrong_beside_the_run(record: dict[str, Any], reason: str, said: str) -> None:
    run = placed(status="running")
    assert ended(run, **record).status == "completed"
    assert list(warnings_of(run)) == [reason]
    assert said in warnings_of(run)[reason]


def test_the_last_lines_of_the_log_are_evidence() -> None:
    run = placed(status="running")
    run.directory.mkdir(parents=True)
    (run.directory / "logs.txt").write_text("x" * 100_000 + "\ntorch.OutOfMemoryError: CUDA out of memory.\n")
    ended(run, exit_code=1)
    assert run.exit_class == "oom"


def test_only_the_last_lines_are_evidence() -> None:
    run = placed(status="running")
    run.directory.mkdir(parents=True)
    (run.directory / "logs.txt").write_text("CUDA out of memory\n" + "x" * 100_000)
    ended(run, exit_code=1)
    assert run.exit_class == "error"


@pytest.mark.parametrize("make", ["link", "fifo", "directory"])
def test_it_reads_no_log_that_a_job_replaced(make: str, tmp_path: Path) -> None:
    run = placed(status="running")
    run.directory.mkdir(parents=True)
    log, secret = run.directory / "logs.txt", tmp_path / "secret"
    secret.write_text("CUDA out of memory\n")
    {"link": lambda: log.symlink_to(secret), "fifo": lambda: os.mkfifo(log), "directory": log.mkdir}[make]()
    ended(run, exit_code=1)
    assert run.exit_class == "error"


@pytest.mark.parametrize(("asked_at", "status"), [(timezone.now(), "stopped"), (None, "failed")])
def test_a_signal_whose_order_could_not_be_written_still_counts_as_a_stop(asked_at: Any, status: str) -> None:
    run = placed(status="ending")
    Run.objects.filter(pk=run.pk).update(stop_requested_at=asked_at)
    ended(run, exit_code=None, exit_signal=15, stop_reason="terminated")
    assert run.status == status


def test_a_run_without_task_ends_too() -> None:
    run = make_sdk_run()
    run.processes.create(rank=0)
    recorded(run)
    finish(run.pk)
    run.refresh_from_db()
    assert run.status == "finished"


@pytest.fixture
def left_behind() -> Iterator[Any]:
    """Starts a process that says it belongs to a run."""
    started: list[subprocess.Popen[bytes]] = []

    def start(run_id: str) -> int:
        started.append(subprocess.Popen(["sleep", "600"], env={"MLSERVER_RUN_ID": run_id, "PATH": os.environ["PATH"]}))
        return started[-1].pid

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.process
@pytest.mark.parametrize("is_of_the_run", [True, False])
def test_a_gpu_is_quarantined_while_a_process_of_the_run_is_on_it(
    simulated_gpus: Path, left_behind: Any, is_of_the_run: bool
) -> None:
    run = placed(status="running")
    gpus = [make_gpu(uuid=f"GPU-simulated-{index}", index=index) for index in (0, 1)]
    for gpu in gpus:
        make_lease(run, gpu)
    pid = left_behind(run.pk if is_of_the_run else "another run")
    simulated_gpus.write_text(json.dumps({"1": {"processes": [{"pid": pid, "used_memory_mib": 900}]}}))
    ended(run)
    said = f"process {pid} of ended run {run.pk} still uses it"
    reasons = list(Gpu.objects.order_by("index").values_list("quarantine_reason", flat=True))
    assert reasons == ["", said if is_of_the_run else ""]
    assert warnings_of(run) == ({"GpuQuarantined": f"GPU 1: {said}"} if is_of_the_run else {})
    assert not run.leases.held().exists()


def test_a_gpu_is_quarantined_when_the_driver_does_not_answer(simulated_gpus: Path, monkeypatch: Any) -> None:
    run = placed(status="running")
    make_lease(run, make_gpu(uuid="GPU-simulated-0"))

    def silence(uuid: str) -> None:
        raise DriverSilentError

    monkeypatch.setattr(remains, "users_of", silence)
    ended(run)
    assert not run.leases.held().exists()
    assert Gpu.objects.get().quarantine_reason == f"the driver did not answer when run {run.pk} ended"


def test_gpus_of_a_driver_that_cannot_say_are_freed(simulated_gpus: Path) -> None:
    run = placed(status="running")
    make_lease(run, make_gpu(uuid="GPU-simulated-0"))
    simulated_gpus.write_text(json.dumps({"0": {"processes": None}}))
    ended(run)
    assert not run.leases.held().exists()
    assert not Gpu.objects.exclude(quarantined_at=None).exists()


@pytest.mark.database
@pytest.mark.django_db
def test_a_nul_in_the_evidence_does_not_keep_a_run_from_ending() -> None:
    run = placed(status="running")
    run.directory.mkdir(parents=True)
    (run.directory / "logs.txt").write_bytes(b"std::bad_alloc \0 y\xff\n")
    recorded(run, exit_code=1)
    finish(run.pk)
    run.refresh_from_db()
    assert (run.status, run.exit_class) == ("failed", "oom")
    assert "\0" not in run.exit_reason
    assert "std::bad_alloc" in run.exit_reason
