"""Commands that do one thing to each of the tasks they are given."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlserver.errors import Conflict, NotFound
from mlserver.serving.presence import say_when_not_running
from training.models import Task


class TaskCommand(ABC, BaseCommand):
    """All tasks are tried; exit status 1 when one of them refused."""

    without_server: ClassVar[str] = ""  # what follows from a server that is not running

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="+", metavar="TASK_ID")

    @abstractmethod
    def act(self, task: Task) -> Task:
        """The task as it is afterwards; raises Conflict when it is in another state."""

    def is_done(self, task: Task) -> bool:
        """Nothing is left for the server to do."""
        return task.has_ended

    def said(self, task: Task) -> str:
        return said_of(task)

    def handle(self, *args: Any, **options: Any) -> None:
        refusals, needs_server = [], False
        for text in options["ids"]:
            try:
                task = self.act(find(text))
            except (Conflict, NotFound) as error:
                refusals.append(error.message)
            else:
                self.stdout.write(self.said(task))
                needs_server = needs_server or not self.is_done(task)
        if needs_server:
            say_when_not_running(self.stderr, self.without_server)
        if refusals:
            raise CommandError("\n".join(refusals))


def find(text: str) -> Task:
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    task = Task.objects.visible().filter(pk=int(text)).first() if is_number else None
    if task is None:
        raise NotFound(f"task {text} does not exist; see `manage.py tasks`")
    return task


def said_of(task: Task) -> str:
    """`task 3 waiting: all CPU slots are taken`."""
    has_reason = task.waiting_reason not in ("", task.status)
    return f"task {task.pk} {task.status}" + (f": {task.waiting_reason}" if has_reason else "")
