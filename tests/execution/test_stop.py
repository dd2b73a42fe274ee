"""Stop: before the launch, during it, while the command runs, and again."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from tests.execution.placed import command_of, exit_of, log_of, placed
from tests.make import make_gpu, make_lease
from tests.waiting import until
from training.execution import launch as launching
from training.execution.control import Control
from training.execution.finish import finish
from training.execution.launch import launch, spawn, start_supervisor
from training.execution.stop import deliver_stop
from training.models import Run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("engine")]


def told_to_stop(run: Run) -> Run:
    """As stop_task leaves it, with a fresh instance as the queue reads it."""
    assert run.task is not None
    run.task.request_stop("stopped by ada")
    Run.objects.get(pk=run.pk).request_stop("stopped by ada")
    return Run.objects.select_related("task").get(pk=run.pk)


def claimed(run: Run, *, seconds_ago: float) -> None:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    Run.objects.filter(pk=run.pk).update(launch_claimed_at=at)


def finished(run: Run) -> Run:
    exit_of(run)
    finish(run.pk)
    return Run.objects.select_related("task").get(pk=run.pk)


def statuses(run: Run) -> tuple[str, str, str]:
    assert run.task is not None
    return run.status, run.exit_class, run.task.status


def test_a_run_that_was_never_launched_ends_at_once() -> None:
    run = told_to_stop(placed(gpus=1))
    make_lease(run, make_gpu())
    assert deliver_stop(run) == f"{run.pk}: stopped before it was launched"
    run = Run.objects.select_related("task").get(pk=run.pk)
    assert statuses(run) == ("stopped", "stopped", "stopped")
    assert (run.exit_reason, run.started_at) == ("stopped before it started", None)
    assert not run.leases.held().exists()


def test_a_run_whose_launch_died_ends_too() -> None:
    run = told_to_stop(placed())
    claimed(run, seconds_ago=11)
    assert deliver_stop(run) == f"{run.pk}: stopped before it was launched"


def test_a_launch_under_way_is_left_to_find_the_order() -> None:
    run = told_to_stop(placed(grace_s=3))
    claimed(run, seconds_ago=1)
    assert deliver_stop(run) == f"{run.pk}: 0 supervisors told to stop"
    run.refresh_from_db()
    assert run.status == "ending"
    assert Control(run.pk).read("stop") == {"reason": "stopped", "grace_s": 3.0}


@pytest.mark.process
def test_a_launch_that_comes_after_the_order_does_not_start_the_command() -> None:
    run = told_to_stop(placed("echo started"))
    claimed(run, seconds_ago=1)
    deliver_stop(run)
    assert run.task is not None
    start_supervisor(run, run.task, run.processes.get(), {})
    run = finished(run)
    assert statuses(run) == ("stopped", "stopped", "stopped")
    assert "started" not in log_of(run).replace("before it started", "")


@pytest.mark.process
def test_it_ends_a_running_command() -> None:
    run = placed("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.02; done")
    launch(run.pk)
    until(lambda: "ready" in log_of(run))
    assert deliver_stop(told_to_stop(run)) == f"{run.pk}: 1 supervisors told to stop"
    run = finished(run)
    assert statuses(run) == ("stopped", "stopped", "stopped")
    assert (run.exit_code, run.exit_reason) == (0, "stopped by a user; exit code 0")
    assert "bye" in log_of(run).splitlines()


@pytest.mark.process
def test_it_kills_what_ignores_term_after_the_grace_of_the_task() -> None:
    run = placed("trap '' TERM; echo ready; while :; do sleep 0.02; done", grace_s=0.2)
    launch(run.pk)
    until(lambda: "ready" in log_of(run))
    deliver_stop(told_to_stop(run))
    assert finished(run).exit_reason == "stopped by a user; ended by SIGKILL after its grace was over"


@pytest.mark.process
def test_twice_is_as_good_as_once() -> None:
    run = placed(["sleep", "600"])
    launch(run.pk)
    command_of(run)
    run = told_to_stop(run)
    first, order = deliver_stop(run), Control(run.pk).read("stop")
    deliver_stop(run)
    assert first == f"{run.pk}: 1 supervisors told to stop"
    assert Control(run.pk).read("stop") == order
    run = finished(run)
    assert statuses(run) == ("stopped", "stopped", "stopped")
    assert deliver_stop(run) == f"{run.pk}: 0 supervisors told to stop"
    run.refresh_from_db()
    assert run.exit_reason == "stopped by a user; ended by SIGTERM"


@pytest.mark.process
def test_it_signals_although_the_order_cannot_be_written() -> None:
    run = placed(["sleep", "600"])
    launch(run.pk)
    command_of(run)
    (Control(run.pk).directory / "stop.json").mkdir()
    assert deliver_stop(told_to_stop(run)) == f"{run.pk}: 1 supervisors told to stop"
    assert statuses(finished(run)) == ("stopped", "stopped", "stopped")


@pytest.mark.process
def test_a_stop_between_claim_and_start_is_delivered_by_the_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    run = placed(["sleep", "600"])

    def stopped_meanwhile(control: Path) -> int:
        told_to_stop(run)
        return spawn(control)

    monkeypatch.setattr(launching, "spawn", stopped_meanwhile)
    assert launch(run.pk) == f"{run.pk}: launched"
    assert statuses(finished(run)) == ("stopped", "stopped", "stopped")
