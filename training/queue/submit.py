"""Submit a task: commit it, then one scheduling pass in the same request, so every door answers from the result."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from training.models import Event, Source, Task, TaskStatus
from training.models.turn import turn_of
from training.queue.ledger import read_ledger
from training.queue.names import check_pool, queue_priority
from training.queue.placement import Demand, place
from training.queue.scheduler import schedule_and_launch
from training.queue.spec import TaskSpec


def submit(
    spec: TaskSpec, *, owner: User, source: str = Source.NATIVE, also: Callable[[Task], object] | None = None
) -> Task:
    """The committed task after one pass: `active` when it was placed, else `waiting` with its reason, or `held`.

    `also` writes what belongs to the task, in the same transaction and before anybody sees it. Raises Invalid for a
    pool or queue that does not exist.
    """
    with transaction.atomic():
        check_pool(spec.pool)
        points = queue_priority(spec.queue)
        status = TaskStatus.HELD if spec.hold else TaskStatus.WAITING
        reason = "held" if spec.hold else ""
        task = Task.objects.create(
            owner=owner,
            source=source,
            status=status,
            waiting_reason=reason,
            queue_priority=points,
            **spec.task_fields(),
        )
        if also is not None:
            also(task)
        Event.objects.say("Submitted", f"submitted by {owner.get_username()} through {source}", task_id=task.pk)
    if not spec.hold:
        schedule_and_launch()
        task.refresh_from_db()
    return task


def dry_run(spec: TaskSpec) -> dict[str, Any]:
    """Where and when `spec` would start if it were submitted now; writes nothing.

    `position` is the place it would have in the line of waiting tasks; 1 is next, a held task has none.
    """
    check_pool(spec.pool)
    points = spec.priority + queue_priority(spec.queue)
    if spec.hold:
        return {"would_start": False, "node": None, "gpus": [], "waiting_reason": "held", "position": None}
    answer = place(Demand.of(spec.task_fields()), read_ledger().nodes)
    place_in_line = Task.objects.placeable().filter(turn__lte=turn_of(timezone.now(), points)).count() + 1
    if isinstance(answer, str):
        return {"would_start": False, "node": None, "gpus": [], "waiting_reason": answer, "position": place_in_line}
    gpus = [gpu.index for gpu in answer.gpus]
    return {
        "would_start": True,
        "node": answer.node.name,
        "gpus": gpus,
        "waiting_reason": "",
        "position": place_in_line,
    }
