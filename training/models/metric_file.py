"""MetricFile: a file of a run directory whose numbers are metrics, beside the run's spool."""

from django.db import models


class MetricFile(models.Model):
    """How far it was taken in: `offset` and `rows` are written with what they brought, so each row comes once."""

    run = models.ForeignKey("training.Run", on_delete=models.CASCADE, related_name="metric_files")
    name = models.CharField(max_length=500, help_text="relative to the run directory")
    prefix = models.CharField(max_length=500, blank=True, help_text="what stands before the names that it says")
    offset = models.PositiveBigIntegerField(default=0, help_text="bytes taken in")
    rows = models.PositiveBigIntegerField(default=0, help_text="rows taken in; counts steps where none is said")
    bad_records = models.PositiveIntegerField(default=0, help_text="records or lines that could not be read")
    problem = models.CharField(max_length=255, blank=True, help_text="why nothing more is read of it")

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="one_metric_file_per_name")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.name} at {self.offset}"
