"""Lease: a run holds a Gpu, or part of its memory."""

from django.db import models
from django.utils import timezone

from gpus.models import Gpu


class LeaseQuerySet(models.QuerySet["Lease"]):
    def held(self) -> "LeaseQuerySet":
        return self.filter(released_at=None)


class Lease(models.Model):
    run = models.ForeignKey("training.Run", on_delete=models.CASCADE, related_name="leases")
    gpu = models.ForeignKey(Gpu, verbose_name="GPU", on_delete=models.CASCADE, related_name="leases")
    memory_mib = models.PositiveIntegerField(
        verbose_name="memory in MiB", help_text="memory reserved on the device, in MiB"
    )
    is_exclusive = models.BooleanField(verbose_name="exclusive", default=True)
    energy_wh = models.FloatField(verbose_name="energy in Wh", default=0.0, help_text="its share of the device's")
    energy_counter_mj = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="the device's counter when energy was last written, in mJ"
    )
    created_at = models.DateTimeField(default=timezone.now)
    released_at = models.DateTimeField(null=True, blank=True)

    objects = LeaseQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["gpu"],
                condition=models.Q(released_at=None, is_exclusive=True),
                name="one_exclusive_lease_per_gpu",
            ),
            models.UniqueConstraint(
                fields=["run", "gpu"], condition=models.Q(released_at=None), name="one_lease_per_run_and_gpu"
            ),
        ]
        indexes = [
            # The scheduler reads every held lease in each pass.
            models.Index(fields=["gpu"], condition=models.Q(released_at=None), name="lease_held")
        ]

    def __str__(self) -> str:
        return f"{self.run_id} on {self.gpu}"
