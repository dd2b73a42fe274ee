"""Printing logs to a terminal while they grow."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from django.core.management.base import CommandError, OutputWrapper

from training.models import Run, RunStatus, Task, TaskStatus
from training.tracking.logs import FollowedLog, Line

LOOK_S = 0.1
STATUS_EVERY_S = 1.0


def newest_run(task_id: int) -> Run | None:
    return Run.objects.visible().filter(task_id=task_id).order_by("-created_at", "-pk").first()


def waits_for(task: Task) -> str:
    """Empty for an active task between two runs, which is over in a moment."""
    if task.status == TaskStatus.HELD:
        return f"it is held until `manage.py release {task.pk}`"
    return task.waiting_reason or ("to be placed" if task.status == TaskStatus.WAITING else "")


def print_lines(lines: Iterable[Line], out: OutputWrapper) -> None:
    """As they stand in the log: an unfinished line keeps its end open."""
    for line in lines:
        out.write(line.text, ending="" if line.is_partial else "\n")
    out.flush()


def follow_task(task_id: int, out: OutputWrapper, notices: OutputWrapper, *, tail: int | None = None) -> None:
    """Print the runs of a task, one after the other, until it has ended; `tail` counts for the first.

    Raises CommandError unless it completed. What it waits for goes to `notices`.
    """
    run, said = None, ""
    while True:
        task = Task.objects.get(pk=task_id)
        newest = newest_run(task_id)
        if newest is not None and newest != run:
            run, said = newest, ""
            # A run that could not start is handed back, and its row is gone.
            with contextlib.suppress(Run.DoesNotExist):
                _follow(run, out, tail)
            tail = None
        elif task.has_ended:
            break
        else:
            reason = waits_for(task)
            if reason not in ("", said):
                said = reason
                notices.write(f"task {task_id} waits: {said}")
            time.sleep(LOOK_S)
    if task.status != TaskStatus.COMPLETED:
        reason = f": run {run.pk} {run.status}, {run.exit_reason}" if run else ""
        raise CommandError(f"task {task.pk} {task.status}{reason}")


def follow_run(run: Run, out: OutputWrapper, *, tail: int | None = None) -> None:
    """Print until the run has ended; raises CommandError unless it finished well."""
    try:
        _follow(run, out, tail)
    except Run.DoesNotExist as error:
        raise CommandError(f"run {run.pk} could not start and was handed back; its task waits again") from error
    if run.status != RunStatus.FINISHED:
        raise CommandError(f"run {run.pk} {run.status}: {run.exit_reason}")


@contextlib.contextmanager
def interruptible(notices: OutputWrapper) -> Iterator[None]:
    """Ctrl-C, or a reader like `head` that has seen enough, ends the watching and not the work."""
    try:
        yield
    except KeyboardInterrupt:
        notices.write("\nno longer following; the task goes on")
        raise SystemExit(130) from None
    except BrokenPipeError:
        # Or Python complains when it flushes at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None


def _follow(run: Run, out: OutputWrapper, tail: int | None) -> None:
    log = FollowedLog(run, is_over=run.has_ended)
    if tail is not None:
        print_lines(log.start_with_tail(tail), out)
    ask = _every(STATUS_EVERY_S, run.refresh_from_db)
    while True:
        print_lines(log.advance(), out)
        if log.has_more:
            continue
        if log.has_all and run.has_ended:
            return
        ask(log.has_all)
        log.is_over = run.has_ended
        if not log.is_over:
            time.sleep(LOOK_S)


def _every(interval_s: float, action: Callable[[], None]) -> Callable[[bool], None]:
    """`action` when it is urgent, or else no more often than each `interval_s`."""
    done_at = time.monotonic()

    def act(is_urgent: bool) -> None:
        nonlocal done_at
        if is_urgent or time.monotonic() - done_at >= interval_s:
            action()
            done_at = time.monotonic()

    return act
