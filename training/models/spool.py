"""Spool: how far the records that a job writes were taken in."""

from django.db import models


class Spool(models.Model):
    """How far a file of records in a run directory was taken in: `offset` is written with what it brought."""

    run = models.ForeignKey("training.Run", on_delete=models.CASCADE, related_name="spools")
    file = models.CharField(max_length=1000, default="events.jsonl", help_text="relative to the run directory")
    offset = models.PositiveBigIntegerField(default=0, help_text="bytes taken in")
    bad_lines = models.PositiveIntegerField(default=0, help_text="lines that were no records")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "file"], name="one_spool_per_file")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.file} at {self.offset}"
