"""Placement by the rules of FlowLine: its loop, its ceiling, and which device a process gets."""

from typing import Any

import pytest

from tests.make import make_gpu, make_node, make_run, make_task, make_user
from training import flowline
from training.execution.settle import settle
from training.models import DispatchLoop, ExitClass, Lease, Run, RunStatus, Task
from training.queue.scheduler import schedule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


def flowline_task(**fields: Any) -> Task:
    defaults = {"source": "flowline", "gpus": 1, "cpus": 0, "is_exclusive": False}
    return make_task(**(defaults | fields))


def device_of(run_id: str) -> int:
    return Lease.objects.get(run_id=run_id).gpu.index


def test_a_process_gets_the_least_busy_device_and_of_equals_the_one_with_most_free_memory() -> None:
    make_gpu(utilization_percent=80)
    make_gpu(utilization_percent=5, used_memory_mib=4000, foreign_memory_mib=4000)
    make_gpu(utilization_percent=5)
    flowline_task()
    [run_id] = schedule()
    assert device_of(run_id) == 2


def test_processes_share_a_device_while_enough_memory_is_free(settings: Any) -> None:
    settings.FLOWLINE_MIN_FREE_MIB = 10_000
    make_gpu(memory_mib=24_576)
    tasks = [flowline_task() for _ in range(3)]
    assert len(schedule()) == 2
    tasks[2].refresh_from_db()
    assert "only 4576 MiB free" in tasks[2].waiting_reason


def test_a_small_device_is_of_use_when_four_fifths_of_it_are_free() -> None:
    make_gpu(memory_mib=8000)
    flowline_task()
    [run_id] = schedule()
    assert Lease.objects.get(run_id=run_id).memory_mib == 6400


def test_memory_that_a_task_names_wins_over_the_floor() -> None:
    make_gpu(memory_mib=8000)
    for _ in range(2):
        flowline_task(gpu_memory_mib=4000)
    assert len(schedule()) == 2


def test_the_floor_and_the_ceiling_of_the_loop_are_obeyed_at_once() -> None:
    make_gpu(memory_mib=80_000)
    DispatchLoop.bound(max_processes=2, min_free_mib=1000)
    tasks = [flowline_task() for _ in range(3)]
    assert len(schedule()) == 2
    tasks[2].refresh_from_db()
    assert tasks[2].waiting_reason == "2 of 2 processes of FlowLine are running"
    assert DispatchLoop.rules().min_free_mib == 1000


def test_the_loop_gates_no_other_door() -> None:
    make_node()
    DispatchLoop.toggle()
    make_task()
    waiting = flowline_task(gpus=0, cpus=1)
    assert len(schedule()) == 1
    waiting.refresh_from_db()
    assert waiting.waiting_reason == "the dispatch loop of FlowLine is off"


def test_the_first_start_follows_the_setting_and_a_change_is_remembered(settings: Any) -> None:
    settings.FLOWLINE_AUTOSTART = False
    assert not DispatchLoop.rules().is_on
    assert DispatchLoop.toggle()
    assert DispatchLoop.rules().is_on


def test_three_failures_in_a_row_end_a_task_and_a_success_begins_the_count_anew(settings: Any) -> None:
    make_node()
    task = flowline.create({"cmd": "x", "need_run_num": 2}, owner=make_user())
    outcomes = iter(["failed", "failed", "finished", "failed", "failed", "failed"])
    while (outcome := next(outcomes, None)) is not None:
        Task.objects.filter(pk=task.pk).update(not_before=None, pending_runs=1, status="active")
        run = make_run(Task.objects.get(pk=task.pk), status=RunStatus.RUNNING)
        exit_class = ExitClass.OK if outcome == "finished" else ExitClass.ERROR
        for other in Run.objects.active().exclude(pk=run.pk):
            other.finish(RunStatus.STOPPED, ExitClass.STOPPED, "not of this test")
        assert settle(run, outcome, exit_class, "said so")
        task.refresh_from_db()
        if outcome == "finished":
            assert (task.retries_used, task.runs_completed) == (0, 1)
    assert (task.retries_used, task.runs_failed) == (2, 1)


def test_options_are_quoted_for_the_shell_and_taken_off_again() -> None:
    config = {"lr": 0.001, "name": "it's $HOME", "flag": True, "none": None}
    line = "python fit.py" + flowline.options(config)
    assert line == """python fit.py --lr 0.001 --name 'it'"'"'s $HOME' --flag True --none None"""
    assert flowline.base_command(line, config) == "python fit.py"
