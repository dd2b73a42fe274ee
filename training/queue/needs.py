"""Dependencies of a submission: what it waits for, and what follows when that has ended already."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlserver.errors import Conflict, Invalid, shown
from training.models import Condition, Task, TaskDependency
from training.models.dependency import is_met_by, said_of_needs
from training.models.task import ENDED, TaskQuerySet
from training.queue.refused import Refused

MOST = 100
CONDITIONS = " or ".join(Condition.values)


@dataclass(frozen=True)
class Need:
    task: int
    condition: str = Condition.OK


def need_list(value: object) -> list[Need]:
    """Ids of tasks, or objects `{"task", "condition"}`; each task once."""
    if not isinstance(value, list | tuple) or len(value) > MOST:
        raise Refused(f"{shown(value)} is not a list of at most {MOST} tasks")
    needs = {need.task: need for need in map(_need, value)}
    return list(needs.values())


def _need(value: object) -> Need:
    said = value if isinstance(value, Mapping) else {"task": value}
    task, condition = said.get("task"), said.get("condition", Condition.OK.value)
    if (
        isinstance(task, bool)
        or not isinstance(task, int)
        or not 1 <= task < 2**63
        or condition not in Condition.values
    ):
        raise Refused(f"{shown(value)} is not the id of a task, nor an object of task and condition ({CONDITIONS})")
    return Need(task, str(condition))


@dataclass(frozen=True)
class Needs:
    """The tasks that a submission names, locked; what is not met of them, and why it can never be."""

    asked: Sequence[Need]
    found: Mapping[int, Task]

    @classmethod
    def lock(cls, asked: Sequence[Need]) -> "Needs":
        """Raises Invalid for tasks that are not there. Until the transaction ends none of them ends."""
        return cls._of(asked, Task.objects.select_for_update(no_key=True))

    @classmethod
    def look(cls, asked: Sequence[Need]) -> "Needs":
        """As `lock`, for those who write nothing."""
        return cls._of(asked, Task.objects.all())

    @classmethod
    def _of(cls, asked: Sequence[Need], tasks: TaskQuerySet) -> "Needs":
        if not asked:
            return cls(asked, {})
        rows = tasks.visible().filter(pk__in=[need.task for need in asked]).order_by("pk")
        found = {task.pk: task for task in rows}
        for need in asked:
            if need.task not in found:
                raise Invalid.field("depends_on", f"there is no task {need.task}")
        return cls(asked, found)

    @property
    def unmet(self) -> list[Need]:
        return [need for need in self.asked if not is_met_by(self.found[need.task].status, need.condition)]

    @property
    def failure(self) -> str:
        """Why the tasks can never start; empty when they may."""
        for need in self.unmet:
            status = self.found[need.task].status
            if status in ENDED:
                return f"task {need.task}, which must complete before it, is {status}"
        return ""

    def reason(self) -> str:
        return said_of_needs([(need.task, need.condition) for need in self.unmet])

    def write(self, tasks: Iterable[Task]) -> None:
        unmet = self.unmet
        TaskDependency.objects.bulk_create(
            TaskDependency(task=task, needs_id=need.task, condition=need.condition, is_met=need not in unmet)
            for task in tasks
            for need in self.asked
        )


def looked_at_again(task: Task) -> int:
    """Of an ended task that is to run once more: how many of its dependencies are unmet now.

    Raises Conflict when one has ended otherwise than it must. Call with the task's row locked.
    """
    rows = task.dependencies.filter(is_met=False).select_related("needs")
    unmet = 0
    for row in rows:
        if is_met_by(row.needs.status, row.condition):
            row.is_met = True
            row.save(update_fields=["is_met"])
        elif row.needs.status in ENDED:
            which = f"task {row.needs_id}, which is {row.needs.status}"
            raise Conflict(f"task {task.pk} depends on {which}: retry that first")
        else:
            unmet += 1
    return unmet
