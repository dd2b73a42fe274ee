"""Queue and UserLimits: how much of one line, and of one person's work, may run at once."""

from django.conf import settings
from django.db import models
from django.utils import timezone

# Name of the queue that is always there. Its priority is 0: what others have is above or below it.
DEFAULT_QUEUE = "default"


class Queue(models.Model):
    """A line that tasks wait in; executions of its tasks together stay within its limits."""

    name = models.CharField(max_length=64, unique=True)
    description = models.TextField(blank=True)
    priority = models.IntegerField(default=0, help_text="added to the priority of its tasks, -100..100")
    max_gpus = models.PositiveIntegerField(
        verbose_name="most GPUs", null=True, blank=True, help_text="GPUs that its runs hold at once; empty: no limit"
    )
    max_running = models.PositiveIntegerField(
        verbose_name="most running", null=True, blank=True, help_text="its runs at once; empty: no limit"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_default(self) -> bool:
        return self.name == DEFAULT_QUEUE


class UserLimits(models.Model):
    """What the runs of one user may take at once, whatever queue they are in. Users without a row have no limits."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="limits")
    max_gpus = models.PositiveIntegerField(verbose_name="most GPUs", null=True, blank=True)
    max_running = models.PositiveIntegerField(verbose_name="most running", null=True, blank=True)

    class Meta:
        ordering = ["user__username"]
        verbose_name = verbose_name_plural = "user limits"

    def __str__(self) -> str:
        return self.user.get_username()
