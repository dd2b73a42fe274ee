"""Tell the supervisors of a run to stop it."""

from datetime import timedelta

from django.utils import timezone

from training.execution.control import Control
from training.execution.settle import settle
from training.models import ExitClass, Run, RunStatus

LAUNCH_PATIENCE = timedelta(seconds=10)


def deliver_stop(run: Run) -> str:
    """Order each supervisor to stop; safe to repeat. A run that was never launched ends here."""
    grace_s = run.task.grace_s if run.task else 10.0
    reached = 0
    for rank in run.processes.values_list("rank", flat=True):
        reached += Control(run.pk, rank).order_stop("stopped", grace_s)
    if not reached and not was_launched(run):
        finish_unlaunched(run)
        return f"{run.pk}: stopped before it was launched"
    return f"{run.pk}: {reached} supervisors told to stop"


def was_launched(run: Run) -> bool:
    """A supervisor exists, or a launch is under way that will deliver the stop itself."""
    if any(Control(run.pk, rank).supervisor() for rank in run.processes.values_list("rank", flat=True)):
        return True
    run.refresh_from_db(fields=["launch_claimed_at"])
    return run.launch_claimed_at is not None and timezone.now() - run.launch_claimed_at < LAUNCH_PATIENCE


def finish_unlaunched(run: Run) -> None:
    settle(run, RunStatus.STOPPED, ExitClass.STOPPED, "stopped before it started")
