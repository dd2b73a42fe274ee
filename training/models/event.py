"""Event: something that happened to a task, a run or the server itself."""

from typing import TYPE_CHECKING, Optional

from django.db import models
from django.db.models import F
from django.utils import timezone

from gpus.models import Node
from mlserver.text import storable

if TYPE_CHECKING:
    from training.models.run import Run
    from training.models.task import Task


class EventType(models.TextChoices):
    NORMAL = "Normal"
    WARNING = "Warning"


class EventQuerySet(models.QuerySet["Event"]):
    def visible(self) -> "EventQuerySet":
        """Events of tasks that were not deleted, and those of no task."""
        return self.filter(models.Q(task=None) | models.Q(task__deleted_at=None))


class EventManager(models.Manager["Event"]):
    def say(
        self,
        reason: str,
        message: str,
        *,
        task: Optional["Task"] = None,
        task_id: int | None = None,
        run: Optional["Run"] = None,
        run_id: str | None = None,
        node: Node | None = None,
        is_warning: bool = False,
    ) -> "Event":
        """Record one event; a run names its task by itself."""
        if run is not None:
            run_id, task_id = run.pk, run.task_id
        if task is not None:
            task_id = task.pk
        kind = EventType.WARNING if is_warning else EventType.NORMAL
        return self.create(
            reason=reason, message=storable(message), task_id=task_id, run_id=run_id, node=node, type=kind
        )

    def say_again(self, reason: str, message: str, *, run: Optional["Run"] = None, node: Node | None = None) -> None:
        """A warning that may come every second: the same one counts up instead of a new row."""
        message = storable(message)
        same = self.filter(run=run, node=node, reason=reason, message=message).order_by("-pk").first()
        if same is None:
            task_id = run.task_id if run is not None else None
            self.create(reason=reason, message=message, run=run, task_id=task_id, node=node, type=EventType.WARNING)
        else:
            self.filter(pk=same.pk).update(count=F("count") + 1, last_at=timezone.now())


class Event(models.Model):
    type = models.CharField(max_length=8, choices=EventType.choices, default=EventType.NORMAL)
    reason = models.CharField(max_length=64, help_text="one CamelCase word, e.g. Started")
    message = models.TextField()
    task = models.ForeignKey("training.Task", on_delete=models.CASCADE, null=True, blank=True, related_name="events")
    run = models.ForeignKey("training.Run", on_delete=models.CASCADE, null=True, blank=True, related_name="events")
    node = models.ForeignKey(Node, on_delete=models.CASCADE, null=True, blank=True, related_name="events")
    count = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now)
    last_at = models.DateTimeField(default=timezone.now)

    objects = EventManager.from_queryset(EventQuerySet)()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"
