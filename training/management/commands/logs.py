"""`manage.py logs [-f] TASK_OR_RUN_ID`: print the log of a run as it is, or as it grows."""

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlserver.serving.presence import say_when_not_running
from training.management.following import follow_run, follow_task, interruptible, newest_run, print_lines
from training.models import Run, Task
from training.tracking import logs


class Command(BaseCommand):
    help = "Print the log of a run; of a task: that of its newest run."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", metavar="TASK_OR_RUN_ID")
        parser.add_argument("-f", "--follow", action="store_true", help="go on until it ends; exit with its success")
        parser.add_argument("--tail", type=_lines, metavar="N", help="only the last N lines (default: all)")

    def handle(self, *args: Any, **options: Any) -> None:
        task_id = _task_id(options["id"])
        with interruptible(self.stderr):
            if not options["follow"]:
                self._print(_newest_run(task_id) if task_id is not None else _run(options["id"]), options["tail"])
            elif task_id is not None:
                self._say_what_is_missing(Task.objects.get(pk=task_id))
                follow_task(task_id, self.stdout, self.stderr, tail=options["tail"])
            else:
                run = _run(options["id"])
                self._say_what_is_missing(run)
                follow_run(run, self.stdout, tail=options["tail"])

    def _say_what_is_missing(self, followed: Task | Run) -> None:
        """Without the server no task starts and no run is found to have ended."""
        if not followed.has_ended:
            say_when_not_running(self.stderr, "waiting tasks start, and ended runs are noticed, when it is started")

    def _print(self, run: Run, tail: int | None) -> None:
        log = logs.FollowedLog(run, is_over=True)
        if tail is not None:
            print_lines(logs.tail(run, lines=tail).lines, self.stdout)
            return
        print_lines(log.advance(), self.stdout)
        while log.has_more:
            print_lines(log.advance(), self.stdout)


def _task_id(text: str) -> int | None:
    """None when `text` does not look like the number of a task; raises CommandError when there is no such task."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        return None
    if not Task.objects.visible().filter(pk=int(text)).exists():
        raise CommandError(f"task {text} does not exist; see `manage.py tasks --all`")
    return int(text)


def _newest_run(task_id: int) -> Run:
    run = newest_run(task_id)
    if run is None:
        task = Task.objects.get(pk=task_id)
        raise CommandError(f"task {task_id} has no run yet, it is {task.status}: {task.waiting_reason}".rstrip(": "))
    return run


def _run(run_id: str) -> Run:
    run = Run.objects.visible().filter(pk=run_id).first()
    if run is None:
        raise CommandError(f"{run_id!r} is neither the number of a task nor the id of a run")
    return run


def _lines(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= logs.MAX_LINES):
        raise ArgumentTypeError(f"{text!r} must be a whole number from 1 to {logs.MAX_LINES}")
    return int(text)
