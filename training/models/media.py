"""RunMedia: a picture that a run logged; the file lies in `media/` of its directory."""

from django.db import models
from django.utils import timezone


class RunMedia(models.Model):
    run = models.ForeignKey("training.Run", on_delete=models.CASCADE, related_name="media")
    name = models.CharField(max_length=255, help_text="file name in the directory media")
    key = models.CharField(max_length=255, help_text="what the script calls the picture")
    step = models.BigIntegerField(null=True, blank=True)
    caption = models.TextField(blank=True)
    logged_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "run media"
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="one_medium_per_name")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.name}"
