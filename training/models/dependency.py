"""TaskDependency: a task starts only after another one has ended."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F
from django.db.models.lookups import In

from mlserver.enqueue import enqueue
from mlserver.prepared import Prepared
from training.models.task_status import ENDED, UNSTARTED, TaskStatus

if TYPE_CHECKING:
    from training.models.task import Task

MOST_NAMED = 3


class Condition(models.TextChoices):
    """How the other task must end; where it never does, the one that waits for it is ended."""

    OK = "ok", "ok: it completes"
    ANY = "any", "any: it ends, however"


def is_met_by(status: str, condition: str) -> bool:
    """Whether a task in this status lets those start that wait for it under this condition."""
    return status == TaskStatus.COMPLETED if condition == Condition.OK else status in ENDED


def said_of_needs(needs: Iterable[tuple[int, str]]) -> str:
    """The waiting reason of a task that waits for these: (id, condition)."""
    said = [f"task {task} to {'complete' if condition == Condition.OK else 'end'}" for task, condition in needs]
    more = f" and {len(said) - MOST_NAMED} more" if len(said) > MOST_NAMED else ""
    return f"waits for {', '.join(said[:MOST_NAMED])}{more}" if said else ""


class DependencyManager(models.Manager["TaskDependency"]):
    def follow(self, task_id: int, status: str) -> None:
        """A task has ended: those that wait for it may start or never will, and so on behind those. In its transaction.

        The rows of the tasks are locked before anything is counted: two that end at once both see the other's end.
        """
        ended: Mapping[int, str] = {task_id: status}
        while ended:
            ended = self._follow_once(ended)

    def _follow_once(self, ended: Mapping[int, str]) -> dict[int, str]:
        """The tasks that were given up, with their status."""
        from training.models.task import Task

        rows = UNMET_OF.all(*ended)
        if not rows:
            return {}
        waiting = Task.objects.filter(pk__in={row.task_id for row in rows}).order_by("pk")
        tasks = {task.pk: task for task in waiting.select_for_update(no_key=True)}
        given_up: dict[int, str] = {}
        for row in rows:
            status, task = ended[row.needs_id], tasks[row.task_id]
            if not is_met_by(status, row.condition):
                if task.give_up(f"task {row.needs_id}, which must complete before it, is {status}"):
                    given_up[task.pk] = task.status
            else:
                self.filter(pk=row.pk).update(is_met=True)
        for task in tasks.values():
            if task.pk not in given_up:
                task.note_unmet(self.unmet_of(task))
        enqueue("training.queue.tasks.schedule")
        return given_up

    def unmet_of(self, task: "Task") -> list[tuple[int, str]]:
        return list(self.filter(task=task, is_met=False).values_list("needs_id", "condition"))


class TaskDependency(models.Model):
    """`task` waits for `needs`. Tasks are named only by tasks that are made later, so none waits for itself."""

    task = models.ForeignKey("training.Task", on_delete=models.CASCADE, related_name="dependencies")
    needs = models.ForeignKey("training.Task", on_delete=models.CASCADE, related_name="dependents")
    condition = models.CharField(max_length=8, choices=Condition.choices, default=Condition.OK)
    is_met = models.BooleanField(verbose_name="met", default=False)

    objects = DependencyManager()

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "task dependencies"
        constraints = [models.UniqueConstraint(fields=["task", "needs"], name="one_dependency_per_pair")]

    def __str__(self) -> str:
        return f"{self.task_id} after {self.needs_id} ({self.condition})"


UNMET_OF = Prepared(
    lambda *ended: TaskDependency.objects.filter(
        In(F("needs_id"), ended), is_met=False, task__status__in=UNSTARTED
    ).order_by("task_id")
)
