"""`manage.py tasks`: what runs, what waits and why."""

from argparse import ArgumentTypeError
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlserver.serving.presence import say_when_not_running
from training.models import Task, TaskStatus
from training.models.task import UNENDED

COLUMNS = ("ID", "Status", "Name", "Project", "GPUs", "Priority", "Owner", "Time", "Run", "Waits for")
COLOURS = {
    TaskStatus.ACTIVE: "cyan", TaskStatus.COMPLETED: "green", TaskStatus.FAILED: "red", TaskStatus.WAITING: "yellow",
}  # fmt: skip
# Never cut: what one types into the next command. Left out where a terminal is narrow: what a pipe still gets.
WHOLE = ("ID", "Status", "GPUs", "Time", "Run")
SPARED = ("Project", "Priority", "Owner")
NARROW = 120
MOST = 10_000


class Command(BaseCommand):
    help = "Tasks that have not ended, the newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--status", action="append", choices=TaskStatus.values, help="repeat it for several")
        parser.add_argument("--all", action="store_true", help="ended ones too")
        parser.add_argument("-n", type=_count, default=50, metavar="N", help="at most N (default 50)")

    def handle(self, *args: Any, **options: Any) -> None:
        tasks = Task.objects.visible().with_newest_run().select_related("owner").order_by("-pk")
        statuses = options["status"] or (TaskStatus.values if options["all"] else UNENDED)
        rows = [list(_cells(task)) for task in tasks.filter(status__in=statuses)[: options["n"]]]
        if self.stdout.isatty():
            self._draw(rows)
        else:
            # One line a task, columns between tabs: for grep, cut and awk.
            self.stdout.write("\n".join("\t".join(row) for row in [list(COLUMNS), *rows]))
        if any(row[1] in UNENDED for row in rows):
            say_when_not_running(self.stderr, "nothing of this changes until it is started")

    def _draw(self, rows: list[list[str]]) -> None:
        if not rows:
            self.stdout.write("No such task; --all lists ended tasks too.")
            return
        console = Console(file=self.stdout)  # type: ignore[arg-type]  # OutputWrapper passes on to a file
        shown = [name for name in COLUMNS if console.width >= NARROW or name not in SPARED]
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
        for name in shown:
            table.add_column(name, no_wrap=name in WHOLE, overflow="fold", min_width=None if name in WHOLE else 6)
        for row in rows:
            style = COLOURS.get(TaskStatus(row[1]), "")
            cells = zip(COLUMNS, row, strict=True)
            table.add_row(
                *(Text(cell, style=style if name == "Status" else "") for name, cell in cells if name in shown)
            )
        console.print(table)


def _cells(task: Task) -> Iterator[str]:
    yield str(task.pk)
    yield task.status
    yield _one_line(task.name or _command(task))
    yield _one_line(task.project)
    yield str(task.gpus)
    yield str(task.priority)
    yield task.owner.get_username()
    yield _duration(task.started_at or task.queued_at, task.ended_at)
    yield getattr(task, "newest_run_id", None) or ""
    yield _one_line(task.waiting_reason)


def _command(task: Task) -> str:
    text = task.command if isinstance(task.command, str) else " ".join(task.command)
    return text if len(text) <= 60 else text[:57] + "..."


def _one_line(text: str) -> str:
    """Names are written by users: no control character of theirs reaches a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _duration(start: datetime, end: datetime | None) -> str:
    """Of the work, or of the wait before it."""
    spent = (end or timezone.now()) - start
    return str(timedelta(seconds=int(spent.total_seconds())))


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MOST):
        raise ArgumentTypeError(f"{text!r} must be a whole number from 1 to {MOST}")
    return int(text)
