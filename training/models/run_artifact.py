"""RunArtifact: what a run used or produced."""

from django.db import models
from django.utils import timezone

from registry.models import ArtifactVersion


class Usage(models.TextChoices):
    USED = "used"
    PRODUCED = "produced"


class RunArtifact(models.Model):
    """A run used or produced a version."""

    run = models.ForeignKey("training.Run", on_delete=models.CASCADE, related_name="artifacts")
    version = models.ForeignKey(ArtifactVersion, on_delete=models.CASCADE, related_name="runs")
    usage = models.CharField(max_length=16, choices=Usage.choices)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["run", "version", "usage"], name="one_usage_per_run_and_version")
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.usage} {self.version_id}"
