"""Series: the summary row of one metric of a run; lists read it instead of the points."""

from django.db import models


class Series(models.Model):
    run = models.ForeignKey("training.Run", on_delete=models.CASCADE, related_name="series")
    name = models.CharField(max_length=255)
    count = models.PositiveBigIntegerField(default=0)
    first = models.FloatField(null=True, blank=True)
    last = models.FloatField(null=True, blank=True)
    min = models.FloatField(null=True, blank=True)
    max = models.FloatField(null=True, blank=True)
    latest_step = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "series"
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="one_series_per_name")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.name}"
