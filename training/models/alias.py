"""RunAlias: another id under which a run is known."""

from django.db import models


class RunAlias(models.Model):
    """A run that the original SDK makes inside a queued task is that task's run; its own id leads there, too."""

    alias = models.CharField(max_length=22, primary_key=True)
    run = models.ForeignKey("training.Run", on_delete=models.CASCADE, related_name="aliases")

    class Meta:
        verbose_name_plural = "run aliases"

    def __str__(self) -> str:
        return f"{self.alias} is {self.run_id}"
