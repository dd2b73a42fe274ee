"""Settle a run that has ended: its status, its GPUs, and what its task does next."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from gpus.models import Gpu
from training.execution.classify import RETRIED
from training.execution.remains import gpus_still_used
from training.models import Event, Lease, Run, RunStatus, Source, Task, TaskStatus

Warning = tuple[str, str]
"""Reason and message of an event."""


def settle(
    run: Run, status: str, exit_class: str, reason: str, *, warnings: Sequence[Warning] = (), **facts: Any
) -> bool:
    """End the run, free its GPUs and move its task on, all in one transaction; False when it had ended already.

    `warnings` become events of the run; `facts` are exit_code, exit_signal, started_at, ended_at.
    """
    still_used = gpus_still_used(run)  # asks the driver, so before the transaction
    with transaction.atomic():
        task = Task.objects.locked(run.task_id)
        if not run.finish(status, exit_class, reason, **facts):
            return False
        for word, message in warnings:
            Event.objects.say(word, message, run=run, is_warning=True)
        if run.gpus:
            free_gpus(run, still_used)
        if task is not None:
            advance(task, run)
    return True


def free_gpus(run: Run, still_used: dict[str, str]) -> None:
    """A device on which a process of the run still sits is quarantined, so nobody is placed beside it."""
    for gpu in Gpu.objects.filter(leases__run=run, leases__released_at=None, uuid__in=still_used):
        if gpu.quarantine(still_used[gpu.uuid]):
            Event.objects.say("GpuQuarantined", f"GPU {gpu.index}: {still_used[gpu.uuid]}", run=run, is_warning=True)
    Lease.objects.held().filter(run=run).update(released_at=timezone.now())


def advance(task: Task, run: Run) -> None:
    """Count the execution; retry it, wait for the next, or end the task. Call with the task's row locked."""
    has_failed = run.status == RunStatus.FAILED and task.stop_requested_at is None
    if has_failed and run.exit_class in RETRIED and task.retries_used < task.max_retries:
        task.retry_later(f"run {run.pk} failed ({run.exit_class})")
        return
    if run.status == RunStatus.FINISHED and task.source == Source.FLOWLINE and task.retries_used:
        # FlowLine counts failures in a row.
        Task.objects.filter(pk=task.pk).update(retries_used=0)
    completed = task.runs_completed + (run.status == RunStatus.FINISHED)
    failed = task.runs_failed + has_failed
    if task.repeat > 1 and task.has_active_runs():
        Task.objects.filter(pk=task.pk).update(runs_completed=completed, runs_failed=failed)
    elif task.pending_runs > 0:
        task.wait_for_next(runs_completed=completed, runs_failed=failed)
    else:
        status = final_status(task, run, has_failures=failed > 0)
        task.end(status, runs_completed=completed, runs_failed=failed)


def final_status(task: Task, run: Run, *, has_failures: bool) -> TaskStatus:
    if task.stop_requested_at is not None or run.status == RunStatus.STOPPED:
        return TaskStatus.STOPPED
    return TaskStatus.FAILED if has_failures else TaskStatus.COMPLETED
