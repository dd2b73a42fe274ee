"""`manage.py sessions`: trainings by name, how far they are and how good."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from training.management.listing import Listing, count, duration, one_line
from training.models import TrainingSession
from training.models.session import SessionState

COLUMNS = ("ID", "State", "Task", "Model", "Epoch", "Val. accuracy", "Owner", "Time", "Waits for")
LISTING = Listing(
    COLUMNS,
    whole=("ID", "State", "Task", "Epoch", "Val. accuracy", "Time"),
    spared=("Owner",),
    colours={"running": "cyan", "completed": "green", "failed": "red", "queued": "yellow"},
    none_said="No such training session; `manage.py train` starts one.",
)


class Command(BaseCommand):
    help = "Training sessions, the newest first; the task is what stop, retry and logs take."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--state", action="append", choices=SessionState.values, help="repeat it for several")
        parser.add_argument("-n", type=count, default=50, metavar="N", help="at most N (default 50)")

    def handle(self, *args: Any, **options: Any) -> None:
        sessions = TrainingSession.objects.visible().with_val_accuracy().select_related("task__owner")
        wanted = options["state"] or SessionState.values
        found = [session for session in sessions.order_by("-task_id") if session.state in wanted]
        LISTING.write([list(_cells(session)) for session in found[: options["n"]]], self.stdout)


def _cells(session: TrainingSession) -> Iterator[str]:
    task, accuracy = session.task, getattr(session, "val_accuracy", None)
    yield session.pk
    yield session.state.value
    yield str(task.pk)
    yield one_line(session.model_name)
    yield f"{session.current_epoch or 0}/{session.epochs}"
    yield session.said_of_accuracy(accuracy) or ""
    yield task.owner.get_username()
    yield duration(task.started_at or task.queued_at, task.ended_at)
    yield one_line(task.waiting_reason)
