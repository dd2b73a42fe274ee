"""`manage.py stop TASK_ID...`: end tasks, whatever they are doing."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlserver.errors import Conflict, NotFound
from training.models import Task
from training.queue.control import stop_task


class Command(BaseCommand):
    help = "Stop tasks: running ones get TERM, their grace, then KILL; waiting ones never start."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="+", metavar="TASK_ID")

    def handle(self, *args: Any, **options: Any) -> None:
        """All of them are tried; exit status 1 when one could not be stopped."""
        refusals = []
        for text in options["ids"]:
            try:
                task = stop_task(_task(text), "stopped from the command line")
            except (Conflict, NotFound) as error:
                refusals.append(error.message)
            else:
                self.stdout.write(f"task {task.pk} {task.status if task.has_ended else 'stopping'}")
        if refusals:
            raise CommandError("\n".join(refusals))


def _task(text: str) -> Task:
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    task = Task.objects.visible().filter(pk=int(text)).first() if is_number else None
    if task is None:
        raise NotFound(f"task {text} does not exist; see `manage.py tasks`")
    return task
