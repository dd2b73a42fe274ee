"""`manage.py tasks`: what runs, what waits and why."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from mlserver.serving.presence import say_when_not_running
from training.management.listing import Listing, count, duration, one_line
from training.models import Task, TaskStatus
from training.models.task import UNENDED

COLUMNS = ("ID", "Status", "Name", "Project", "GPUs", "Priority", "Owner", "Time", "Run", "Waits for")
COLOURS = {
    TaskStatus.ACTIVE: "cyan", TaskStatus.COMPLETED: "green", TaskStatus.FAILED: "red", TaskStatus.WAITING: "yellow",
}  # fmt: skip
LISTING = Listing(
    COLUMNS,
    whole=("ID", "Status", "GPUs", "Time", "Run"),
    spared=("Project", "Priority", "Owner"),
    colours={status.value: colour for status, colour in COLOURS.items()},
    none_said="No such task; --all lists ended tasks too.",
)


class Command(BaseCommand):
    help = "Tasks that have not ended, the newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--status", action="append", choices=TaskStatus.values, help="repeat it for several")
        parser.add_argument("--all", action="store_true", help="ended ones too")
        parser.add_argument("--array", metavar="ARRAY_ID", help="those of one array")
        parser.add_argument("-n", type=count, default=50, metavar="N", help="at most N (default 50)")

    def handle(self, *args: Any, **options: Any) -> None:
        tasks = Task.objects.visible().with_newest_run().select_related("owner").order_by("-pk")
        if options["array"]:
            tasks = tasks.of_array(options["array"])
        statuses = options["status"] or (TaskStatus.values if options["all"] else UNENDED)
        rows = [list(_cells(task)) for task in tasks.filter(status__in=statuses)[: options["n"]]]
        LISTING.write(rows, self.stdout)
        if any(row[1] in UNENDED for row in rows):
            say_when_not_running(self.stderr, "nothing of this changes until it is started")


def _cells(task: Task) -> Iterator[str]:
    yield str(task.pk)
    yield task.status
    yield one_line(task.name or _command(task))
    yield one_line(task.project)
    yield str(task.gpus)
    yield str(task.priority)
    yield task.owner.get_username()
    # Of the work, or of the wait before it.
    yield duration(task.started_at or task.queued_at, task.ended_at)
    yield getattr(task, "newest_run_id", None) or ""
    yield one_line(task.waiting_reason)


def _command(task: Task) -> str:
    text = task.command if isinstance(task.command, str) else " ".join(task.command)
    return text if len(text) <= 60 else text[:57] + "..."
