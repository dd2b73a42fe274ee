"""Spool: how far the records that a job writes were taken in."""

from django.db import models


class Spool(models.Model):
    """How far a file of records in a run directory was taken in: `offset` is written with what it brought."""

    run = models.OneToOneField("training.Run", on_delete=models.CASCADE, related_name="spool")
    offset = models.PositiveBigIntegerField(default=0, help_text="bytes taken in")
    bad_lines = models.PositiveIntegerField(default=0, help_text="lines that were no records")

    def __str__(self) -> str:
        return f"{self.run_id} at {self.offset}"
