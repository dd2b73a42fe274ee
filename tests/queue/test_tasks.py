"""What the qcluster runs: each is safe to repeat and answers a short line. Nothing is started here."""

from typing import Any

import pytest

from tests.make import make_node, make_run, make_task
from training.execution.control import Control
from training.models import Run, Task
from training.queue import tasks

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.mark.parametrize("call", [tasks.launch, tasks.finish, tasks.stop])
def test_it_takes_an_unknown_run_calmly(call: Any) -> None:
    assert call("20260101_000000_abcdef").startswith("20260101_000000_abcdef: no")


@pytest.mark.parametrize("status", ["finished", "failed", "stopped"])
def test_it_leaves_an_ended_run_alone(status: str) -> None:
    run = make_run(status=status)
    before = Run.objects.filter(pk=run.pk).values().get()
    assert "not to be launched" in tasks.launch(run.pk)
    assert "nothing to finish" in tasks.finish(run.pk)
    assert tasks.stop(run.pk) == f"{run.pk}: nothing to stop"
    assert Run.objects.filter(pk=run.pk).values().get() == before


def test_finish_places_what_it_freed_room_for_in_the_same_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "LAUNCH_HERE", 0)
    node = make_node(cpu_slots=1)
    run = make_run(node=node, cpus=1)
    run.processes.create(rank=0)
    Control(run.pk).write("exit", {"exit_code": 0, "exit_signal": None})
    next_task = make_task(cpus=1)
    assert tasks.finish(run.pk) == f"{run.pk}: finished, ok; placed 1"
    assert Run.objects.get(status="starting").task == next_task


def test_a_pass_of_many_placements_leaves_launches_to_other_messages(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    monkeypatch.setattr(tasks, "LAUNCH_HERE", 0)
    make_node(cpu_slots=3)
    make_task(repeat=3, pending_runs=3)
    with django_capture_on_commit_callbacks() as asked:
        assert tasks.schedule() == "placed 3"
    assert len(asked) == 3


def test_schedule_says_how_many_it_placed() -> None:
    assert tasks.schedule() == "placed 0"


def test_stop_ends_a_run_that_was_never_launched() -> None:
    task = make_task(status="active", pending_runs=0)
    run = make_run(task, status="ending")
    run.processes.create(rank=0)
    assert tasks.stop(run.pk) == f"{run.pk}: stopped before it was launched"
    assert Task.objects.get().status == "stopped"
