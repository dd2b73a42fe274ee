"""TaskDependency: a task starts only after another one has ended."""

from django.db import models


class Condition(models.TextChoices):
    """How the other task must end; where it never does, the one that waits for it is ended."""

    OK = "ok", "ok: it completes"
    ANY = "any", "any: it ends, however"


class TaskDependency(models.Model):
    """`task` waits for `needs`. Tasks are named only by tasks that are made later, so none waits for itself."""

    task = models.ForeignKey("training.Task", on_delete=models.CASCADE, related_name="dependencies")
    needs = models.ForeignKey("training.Task", on_delete=models.CASCADE, related_name="dependents")
    condition = models.CharField(max_length=8, choices=Condition.choices, default=Condition.OK)
    is_met = models.BooleanField(verbose_name="met", default=False)

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "task dependencies"
        constraints = [models.UniqueConstraint(fields=["task", "needs"], name="one_dependency_per_pair")]

    def __str__(self) -> str:
        return f"{self.task_id} after {self.needs_id} ({self.condition})"
