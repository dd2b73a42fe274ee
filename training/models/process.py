"""RunProcess: one process of a run, with the identity of its supervisor."""

from django.db import models
from django.db.models import OuterRef, Subquery

from training.models.lease import Lease


class RunProcessQuerySet(models.QuerySet["RunProcess"]):
    def of_listed_tasks(self) -> "RunProcessQuerySet":
        """What this server started itself, of tasks that were not deleted."""
        return self.filter(run__task__deleted_at=None).exclude(run__task=None)

    def launched(self) -> "RunProcessQuerySet":
        """Those whose command has started, or had."""
        return self.exclude(pid=None)

    def with_gpu_index(self) -> "RunProcessQuerySet":
        """Adds `gpu_index`: the lowest among the devices that its run holds or held; None where there are none."""
        leases = Lease.objects.filter(run=OuterRef("run_id")).order_by("gpu__index")
        return self.annotate(gpu_index=Subquery(leases.values("gpu__index")[:1]))


class RunProcess(models.Model):
    """Rank 0..n-1 of a run. A process is identified by (pid, start ticks, boot id), never by pid alone."""

    run = models.ForeignKey("training.Run", on_delete=models.CASCADE, related_name="processes")
    rank = models.PositiveIntegerField(default=0)
    boot_id = models.CharField(verbose_name="boot ID", max_length=64, blank=True)
    supervisor_pid = models.PositiveIntegerField(verbose_name="supervisor PID", null=True, blank=True)
    supervisor_start_ticks = models.PositiveBigIntegerField(null=True, blank=True)
    pid = models.PositiveIntegerField(verbose_name="PID", null=True, blank=True, help_text="the command's own process")
    start_ticks = models.PositiveBigIntegerField(null=True, blank=True, help_text="clock ticks after boot")
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    exit_code = models.IntegerField(null=True, blank=True)
    exit_signal = models.PositiveIntegerField(null=True, blank=True)
    max_rss_mib = models.PositiveIntegerField(verbose_name="largest memory in MiB", null=True, blank=True)
    cpu_s = models.FloatField(
        verbose_name="CPU time in s", null=True, blank=True, help_text="user and system time of the process tree"
    )

    objects = RunProcessQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "run processes"
        constraints = [models.UniqueConstraint(fields=["run", "rank"], name="one_process_per_rank")]
        # The FlowLine API asks for the last that ended.
        indexes = [models.Index(fields=["-ended_at"], name="process_by_end")]

    def __str__(self) -> str:
        return f"{self.run_id} rank {self.rank}"
