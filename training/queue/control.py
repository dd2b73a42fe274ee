"""What a user does to a task after submitting it. Each raises Conflict when the task is in another state."""

import contextlib
from collections.abc import Callable, Iterable, Mapping

from django.db import transaction

from mlserver.enqueue import enqueue
from mlserver.errors import Conflict
from training.models import Run, Source, Task, TaskDependency, TaskStatus
from training.models.turn import turn_of
from training.queue.names import check_pool, queue_priority
from training.queue.needs import looked_at_again
from training.queue.scheduler import schedule_and_launch
from training.queue.spec import TaskSpec, checked

ALWAYS = {"name", "tags", "labels", "description"}
WHILE_NOT_ACTIVE = {
    "gpus", "gpu_memory_mib", "exclusive", "cpus", "memory_mib", "ranks", "priority", "time_limit_s", "grace_s",
    "max_retries", "backoff_s", "pool", "queue", "command", "cwd", "env", "config", "project",
}  # fmt: skip
FIXED_OF_SESSIONS = {"gpus", "ranks", "command", "cwd", "env", "config", "project"}


def stop_task(task: Task, why: str = "stopped by a user") -> Task:
    """Nothing more of it is placed; active runs get TERM, their grace, then KILL. Stopping twice is a Conflict."""
    with transaction.atomic():
        # Read again under a lock: of two stops at once one is a Conflict.
        task = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
        if not end_runs(task, why):
            raise Conflict(f"task {task.pk} is {said_state(task)}: only a task that has not ended can be stopped")
    task.refresh_from_db()
    return task


def end_runs(task: Task, why: str) -> bool:
    """What a stop does, False when one was asked for before. Call with the task's row locked."""
    if task.stop_requested_at is not None or not task.request_stop(why):
        return False
    for run in Run.objects.filter(task_id=task.pk).active():
        run.request_stop(why)
        enqueue("training.queue.tasks.stop", run.pk)
    return True


def hold_task(task: Task) -> Task:
    """Keep a waiting task from being placed."""
    if not task.hold():
        raise Conflict(f"task {task.pk} is {said_state(task)}: only a waiting task can be held")
    return task


def release_task(task: Task) -> Task:
    if not task.release():
        raise Conflict(f"task {task.pk} is {said_state(task)}: only a held task can be released")
    return placed_again(task)


def retry_task(task: Task) -> Task:
    """Run an ended task once more, after what it still depends on. Raises Conflict when that has failed for good."""
    with transaction.atomic():
        task = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
        if not task.requeue(unmet=looked_at_again(task) if task.has_ended else 0):
            raise Conflict(f"task {task.pk} is {said_state(task)}: only an ended task can be retried")
        if task.unmet:
            task.note_unmet(TaskDependency.objects.unmet_of(task))
    return placed_again(task)


def delete_task(task: Task) -> None:
    """Hide an ended task from the lists; its runs, logs and events stay."""
    if not task.delete_softly():
        raise Conflict(f"task {task.pk} is {said_state(task)}: stop it before deleting it")


def do_with_each(tasks: Iterable[Task], action: Callable[[Task], object]) -> list[int]:
    """Ids of the tasks that `action` changed; those that are in another state are left as they are."""
    done = []
    for task in tasks:
        with contextlib.suppress(Conflict):
            action(task)
            done.append(task.pk)
    return done


def change_task(task: Task, data: Mapping[str, object]) -> Task:
    """How it is found at any time, what is run and on what while it is not active; other fields are ignored.

    A placement at the same moment waits for the change, or has happened and makes it a Conflict.
    """
    with transaction.atomic():
        task = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
        columns = columns_of_change(task, data)
        if columns:
            Task.objects.filter(pk=task.pk).update(**columns)
    return placed_again(task)


def columns_of_change(task: Task, data: Mapping[str, object]) -> dict[str, object]:
    """What `data` would write to the row of `task`. Raises Invalid and Conflict as the change itself does."""
    values = checked({name: value for name, value in data.items() if name in ALWAYS | WHILE_NOT_ACTIVE})
    late = sorted(values.keys() & WHILE_NOT_ACTIVE)
    if late and not is_changeable(task):
        raise Conflict(f"task {task.pk} is {task.status}: {', '.join(late)} can be changed only before it is active")
    fixed = sorted(values.keys() & FIXED_OF_SESSIONS) if task.is_session else []
    if fixed:
        raise Conflict(f"task {task.pk} is a training session: {', '.join(fixed)} follow from what it trains")
    merged = TaskSpec(**{**resources_of(task), **values})
    merged.check_together()
    columns = {name: value for name, value in merged.task_fields().items() if name in values}
    if "pool" in values:
        check_pool(merged.pool)
    if values.keys() & {"priority", "queue"}:
        points = queue_priority(merged.queue) if "queue" in values else task.queue_priority
        columns |= {"queue_priority": points, "turn": turn_of(task.queued_at, merged.priority + points)}
    if values.keys() & {"gpus", "gpu_memory_mib", "exclusive", "cpus"}:
        columns |= {"is_exclusive": merged.is_exclusive, "cpus": merged.cpu_slots}
    return columns


def is_changeable(task: Task) -> bool:
    """Whether more than name and tags may be changed."""
    return task.status in (TaskStatus.HELD, TaskStatus.WAITING)


def resources_of(task: Task) -> dict[str, object]:
    """The columns of a task that a change may touch, as a spec spells them."""
    spec: dict[str, object] = {name: getattr(task, name) for name in (ALWAYS | WHILE_NOT_ACTIVE) - {"exclusive"}}
    return {
        **spec,
        "exclusive": task.is_exclusive if task.gpus else None,
        "is_demo": task.is_demo,
        "is_session": task.is_session,
        "is_flowline": task.source == Source.FLOWLINE,
    }


def placed_again(task: Task) -> Task:
    schedule_and_launch()
    task.refresh_from_db()
    return task


def said_state(task: Task) -> str:
    task.refresh_from_db()
    return (
        "deleted" if task.deleted_at else "stopping" if task.stop_requested_at and not task.has_ended else task.status
    )
