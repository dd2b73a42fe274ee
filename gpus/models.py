"""Machines and their devices, with the newest sample of each, and the pools they are in."""

from datetime import timedelta

from django.db import models
from django.utils import timezone

# Older, a sample no longer says who is on a device.
SAMPLE_MAX_AGE = timedelta(seconds=2)
# The agent speaks every second; this long a silence is no hiccup and no restart of the server.
SILENT_AFTER = timedelta(seconds=10)
# Name of the pool that is always there and holds everything.
DEFAULT_POOL = "default"


class Node(models.Model):
    """A machine that runs work. `boot_id` tells one boot of it from the next."""

    name = models.CharField(max_length=255, unique=True)
    boot_id = models.CharField(verbose_name="boot ID", max_length=64, blank=True)
    cpu_slots = models.PositiveIntegerField(
        verbose_name="CPU slots", help_text="tasks without GPUs take at least one of these"
    )
    memory_mib = models.PositiveIntegerField(
        verbose_name="memory in MiB", help_text="memory of the machine that tasks may reserve, in MiB"
    )
    driver_version = models.CharField(max_length=64, blank=True)
    is_enabled = models.BooleanField(verbose_name="enabled", default=True)
    agent_seen_at = models.DateTimeField(null=True, blank=True)

    host_sampled_at = models.DateTimeField(null=True, blank=True)
    cpu_usage_percent = models.FloatField(verbose_name="CPU usage in %", null=True, blank=True)
    used_memory_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    total_memory_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    disk_free_bytes = models.PositiveBigIntegerField(null=True, blank=True, help_text="where the models are")
    disk_total_bytes = models.PositiveBigIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name

    @property
    def is_reporting(self) -> bool:
        """The agent was heard of lately, so work placed here is started and watched. Says nothing of the driver."""
        return self.agent_seen_at is not None and timezone.now() - self.agent_seen_at <= SILENT_AFTER


class Gpu(models.Model):
    """One device. Sample fields are None where the driver does not support them."""

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="gpus")
    index = models.PositiveIntegerField()
    uuid = models.CharField(verbose_name="UUID", max_length=96, unique=True)
    name = models.CharField(max_length=128, blank=True)
    memory_mib = models.PositiveIntegerField(verbose_name="memory in MiB")
    is_enabled = models.BooleanField(
        verbose_name="enabled", default=True, help_text="off: nothing new is placed here, by any door"
    )
    is_present = models.BooleanField(
        verbose_name="present", default=True, help_text="the driver listed it at the last look"
    )
    is_simulated = models.BooleanField(verbose_name="simulated", default=False)
    quarantined_at = models.DateTimeField(null=True, blank=True)
    quarantine_reason = models.CharField(max_length=255, blank=True)

    sampled_at = models.DateTimeField(null=True, blank=True)
    used_memory_mib = models.PositiveIntegerField(verbose_name="used memory in MiB", null=True, blank=True)
    foreign_memory_mib = models.PositiveIntegerField(
        verbose_name="foreign memory in MiB", default=0, help_text="held by processes this server did not start"
    )
    foreign_process_count = models.PositiveIntegerField(default=0)
    utilization_percent = models.FloatField(verbose_name="utilization in %", null=True, blank=True)
    temperature_c = models.FloatField(verbose_name="temperature in °C", null=True, blank=True)
    power_w = models.FloatField(verbose_name="power in W", null=True, blank=True)
    memory_utilization_percent = models.FloatField(verbose_name="memory utilization in %", null=True, blank=True)
    power_limit_w = models.FloatField(verbose_name="power limit in W", null=True, blank=True)
    sm_clock_mhz = models.FloatField(verbose_name="SM clock in MHz", null=True, blank=True)
    memory_clock_mhz = models.FloatField(verbose_name="memory clock in MHz", null=True, blank=True)
    performance_state = models.CharField(max_length=8, blank=True, help_text="P0, the fastest, to P15")
    fan_speed_percent = models.FloatField(verbose_name="fan speed in %", null=True, blank=True)
    processes = models.JSONField(
        default=list,
        blank=True,
        help_text="what computes on it, as gpus.occupants describes it",
    )

    class Meta:
        verbose_name = "GPU"
        ordering = ["node_id", "index"]

    def __str__(self) -> str:
        return f"GPU {self.index} of {self.node.name}"

    @property
    def is_sampled(self) -> bool:
        """The last sample is fresh enough to trust what it says of the device."""
        return self.sampled_at is not None and timezone.now() - self.sampled_at <= SAMPLE_MAX_AGE

    def quarantine(self, reason: str) -> bool:
        """Take the device out of scheduling until an administrator or a clean sample releases it."""
        return bool(
            Gpu.objects.filter(pk=self.pk, quarantined_at=None).update(
                quarantined_at=timezone.now(), quarantine_reason=reason[:255]
            )
        )

    def release_quarantine(self) -> bool:
        changed = Gpu.objects.filter(pk=self.pk).exclude(quarantined_at=None)
        return bool(changed.update(quarantined_at=None, quarantine_reason=""))


class Pool(models.Model):
    """Where tasks may run: whole nodes with all their GPUs, and single GPUs. The default one holds everything."""

    name = models.CharField(max_length=64, unique=True)
    description = models.TextField(blank=True)
    nodes = models.ManyToManyField(Node, related_name="pools", blank=True, help_text="with all their GPUs")
    gpus = models.ManyToManyField(
        Gpu, verbose_name="GPUs", related_name="pools", blank=True, help_text="single devices of other nodes"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_default(self) -> bool:
        return self.name == DEFAULT_POOL

    def devices(self) -> models.QuerySet[Gpu]:
        """Devices that tasks of this pool may ever get: those that are present."""
        present = Gpu.objects.filter(is_present=True)
        if self.is_default:
            return present
        return present.filter(models.Q(pools=self) | models.Q(node__pools=self)).distinct()
