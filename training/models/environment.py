"""RunEnvironment: with what a run was made."""

from django.db import models


class RunEnvironment(models.Model):
    """Apart from the run, because lists never show it."""

    run = models.OneToOneField("training.Run", on_delete=models.CASCADE, primary_key=True, related_name="environment")
    facts = models.JSONField(default=dict, help_text="Python, packages, git, command, host, GPUs, as captured")

    def __str__(self) -> str:
        return self.run_id
