"""Commands that do one thing to each of the tasks they are given."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlserver.errors import Conflict, NotFound
from mlserver.serving.presence import say_when_not_running
from training.models import Task
from training.queue.control import do_with_each


class TaskCommand(ABC, BaseCommand):
    """All tasks are tried; exit status 1 when one of them refused."""

    without_server: ClassVar[str] = ""  # what follows from a server that is not running

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="+", metavar="TASK_ID", help="or the id of an array: all of its tasks")

    @abstractmethod
    def act(self, task: Task) -> Task:
        """The task as it is afterwards; raises Conflict when it is in another state."""

    def act_on(self, text: str) -> list[Task]:
        """The task, or those of an array that were in the right state. Raises NotFound, and Conflict for none."""
        if not text.startswith("array-"):
            return [self.act(find(text))]
        tasks = list(Task.objects.visible().of_array(text).order_by("array_index"))
        if not tasks:
            raise NotFound(f"array {text} does not exist; see `manage.py tasks`")
        done = do_with_each(tasks, self.act)
        if not done:
            raise Conflict(f"array {text}: no task is in a state for this, they are {statuses_of(tasks)}")
        return list(Task.objects.filter(pk__in=done).order_by("array_index"))

    def is_done(self, task: Task) -> bool:
        """Nothing is left for the server to do."""
        return task.has_ended

    def said(self, task: Task) -> str:
        return said_of(task)

    def handle(self, *args: Any, **options: Any) -> None:
        refusals, needs_server = [], False
        for text in options["ids"]:
            try:
                tasks = self.act_on(text)
            except (Conflict, NotFound) as error:
                refusals.append(error.message)
            else:
                self.stdout.write("".join(f"{self.said(task)}\n" for task in tasks), ending="")
                needs_server = needs_server or not all(map(self.is_done, tasks))
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


def statuses_of(tasks: list[Task]) -> str:
    """`completed, stopped`."""
    return ", ".join(sorted({task.status for task in tasks}))


def said_of(task: Task) -> str:
    """`task 3 waiting: all CPU slots are taken`."""
    has_reason = task.waiting_reason not in ("", task.status)
    return f"task {task.pk} {task.status}" + (f": {task.waiting_reason}" if has_reason else "")
