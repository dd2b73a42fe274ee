"""Submit a task: commit it, then one scheduling pass in the same request, so every door answers from the result."""

from collections.abc import Callable, Sequence

from django.contrib.auth.models import User
from django.db import transaction

from mlserver.prepared import Prepared
from mlserver.text import storable
from training.models import Event, Source, Task, TaskStatus
from training.models.job_id import new_array_id
from training.queue.names import check_pool, queue_priority
from training.queue.needs import Needs
from training.queue.scheduler import schedule_and_launch
from training.queue.spec import TaskSpec

AFTER_PASS = Prepared(lambda pk: Task.objects.filter(pk=pk)[:1])


def submit(
    spec: TaskSpec, *, owner: User, source: str = Source.NATIVE, also: Callable[[Task], object] | None = None
) -> Task:
    """The committed task after one pass: `active` when it was placed, else `waiting` with its reason, or `held`.

    Of an array it is the first of its tasks. One that depends on a task which has failed is `stopped` already.
    `also` writes what belongs to a task, in the same transaction and before anybody sees it. Raises Invalid for a
    pool, queue or task that does not exist.
    """
    members = spec.members()
    with transaction.atomic():
        check_pool(spec.pool)
        points = queue_priority(spec.queue)
        needs = Needs.lock(spec.depends_on)
        tasks = make_tasks(members, needs, owner=owner, source=source, queue_priority=points)
        said = f"submitted by {owner.get_username()} through {source}"
        if also is not None:
            for task in tasks:
                also(task)
        Event.objects.bulk_create(Event(reason="Submitted", message=storable(said), task=task) for task in tasks)
        for task in tasks if needs.failure else ():
            task.give_up(needs.failure)
    if not spec.hold and not needs.unmet:
        schedule_and_launch()
        return AFTER_PASS.first(tasks[0].pk) or tasks[0]
    return tasks[0]


def make_tasks(members: Sequence[TaskSpec], needs: Needs, **columns: object) -> list[Task]:
    """The rows of one submission, and of what they depend on."""
    array_id = new_array_id() if members[0].array is not None else ""
    tasks = []
    for index, spec in enumerate(members):
        task = Task(status=TaskStatus.HELD if spec.hold else TaskStatus.WAITING, **columns, **spec.task_fields())
        task.unmet = len(needs.unmet)
        task.waiting_reason = "held" if spec.hold else needs.reason()
        if array_id:
            task.array_id, task.array_index, task.array_size = array_id, index, len(members)
        tasks.append(task)
    Task.objects.bulk_create(tasks)
    if needs.asked:
        needs.write(tasks)
    return tasks
