"""Storage roots that Runicorn's tracking library writes, and which of their directories are runs here."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class ImportedRoot(models.Model):
    """A storage root outside of ours whose runs are known here; their files stay where they lie."""

    path = models.CharField(max_length=1000, unique=True, help_text="absolute, without links on the way")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="imported_roots", help_text="of its new runs"
    )
    is_followed = models.BooleanField(default=False, help_text="the agent looks for news in it")
    added_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["path"]

    def __str__(self) -> str:
        return self.path


class RunFolder(models.Model):
    """A directory that Runicorn's tracking library wrote: all of an imported run, or a part of a queued one."""

    run = models.ForeignKey("training.Run", on_delete=models.CASCADE, related_name="folders")
    root = models.ForeignKey(
        ImportedRoot, on_delete=models.CASCADE, null=True, blank=True, related_name="folders",
        help_text="empty: the run's own directory",
    )  # fmt: skip
    path = models.CharField(max_length=1000, help_text="relative to the root")
    seen = models.JSONField(default=dict, help_text="its small files as they were when they were last read")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "path"], name="one_folder_per_path")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.path}"
