"""TaskSchedule: a task that is submitted again and again, at the times of a cron expression."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils.timezone import now


class Missed(models.TextChoices):
    """What becomes of times at which the server was not running."""

    SKIP = "skip", "skip: wait for the next time"
    ONCE = "once", "once: submit one task for all of them"


class Overlap(models.TextChoices):
    """What becomes of a time at which the task of the last one has not ended."""

    ALLOW = "allow", "allow: submit another"
    SKIP = "skip", "skip: wait for the next time"


class TaskScheduleQuerySet(models.QuerySet["TaskSchedule"]):
    def due(self, at: datetime) -> "TaskScheduleQuerySet":
        return self.filter(is_paused=False, next_at__lte=at)


class TaskSchedule(models.Model):
    name = models.CharField(max_length=200)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="schedules")
    cron = models.CharField(max_length=100, help_text="minute hour day month weekday, or @daily and the like")
    timezone = models.CharField(verbose_name="time zone", max_length=64, default="UTC")
    template = models.JSONField(help_text="the fields of the submission")
    missed = models.CharField(max_length=8, choices=Missed.choices, default=Missed.ONCE)
    overlap = models.CharField(max_length=8, choices=Overlap.choices, default=Overlap.ALLOW)
    is_paused = models.BooleanField(verbose_name="paused", default=False)
    next_at = models.DateTimeField(null=True, blank=True)
    last_at = models.DateTimeField(null=True, blank=True, help_text="the last time that was dealt with")
    last_said = models.TextField(blank=True, help_text="what became of it, when no task was submitted")
    created_at = models.DateTimeField(default=now)

    objects = TaskScheduleQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            # What the agent asks every two seconds.
            models.Index(fields=["is_paused", "next_at"], name="schedule_due")
        ]

    def __str__(self) -> str:
        return self.name

    def claim(self, next_at: datetime | None) -> bool:
        """Deal with the time that is due: of many that try, one may. Call in the transaction that submits."""
        mine = TaskSchedule.objects.filter(pk=self.pk, is_paused=False, next_at=self.next_at)
        changed = bool(mine.update(next_at=next_at, last_at=self.next_at, last_said=""))
        if changed:
            self.last_at, self.next_at, self.last_said = self.next_at, next_at, ""
        return changed

    def say(self, what: str) -> None:
        """Why no task was submitted at the last time."""
        TaskSchedule.objects.filter(pk=self.pk).update(last_said=what)
        self.last_said = what
