"""`manage.py submit -- python train.py --lr 0.1`: queue a command as the first administrator."""

from argparse import RawDescriptionHelpFormatter
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlserver.accounts.bootstrap import first_admin
from mlserver.errors import Invalid
from mlserver.serving.presence import say_when_not_running
from training.management.acting import said_of
from training.management.following import follow_task, interruptible, newest_run
from training.management.numbers import number_in
from training.management.submission import NUMBERS, submission_of
from training.models import Source, Task, TaskStatus
from training.queue.forecast import dry_run
from training.queue.spec import TaskSpec
from training.queue.submit import submit


class Command(BaseCommand):
    help = "Queue a command: everything behind -- is the program and its arguments."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.add_argument("words", nargs="*", metavar="-- COMMAND", help="program and arguments")
        parser.add_argument("--shell", action="store_true", help="COMMAND is one string for /bin/sh -c")
        parser.add_argument("--name")
        parser.add_argument("--project")
        for name, meaning in NUMBERS.items():
            parser.add_argument(f"--{name}", type=number_in, metavar="N", help=meaning)
        parser.add_argument("--cwd", type=_absolute, help="where it runs (default: this directory)")
        parser.add_argument("--env", action="append", default=[], metavar="K=V", help="repeat it for several")
        parser.add_argument("--tag", action="append", dest="tags", help="repeat it for several")
        parser.add_argument("--pool", help="pool of the nodes it may run on (default: default)")
        parser.add_argument("--queue", help="name of the line it waits in (default: default)")
        parser.add_argument("--description", help="what it is for")
        parser.add_argument("--label", action="append", default=[], dest="labels", metavar="K=V", help="repeat it")
        parser.add_argument(
            "--depends-on", action="append", default=[], metavar="ID[:ok|:any],...", help="start after these have ended"
        )
        parser.add_argument("--array", type=number_in, metavar="N", help="make N tasks, each with its array_index")
        parser.add_argument(
            "--grid",
            nargs="+",
            default=[],
            metavar="NAME=V,V...",
            help="a task for each combination, {NAME} in COMMAND",
        )
        parser.add_argument("--config", metavar="JSON", help="an object that is kept with its runs")
        parser.add_argument("--hold", action="store_true", help="wait until it is released")
        parser.add_argument("--follow", action="store_true", help="print its log, exit with its success")
        parser.add_argument("--dry-run", action="store_true", help="only say where and when it would start")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            spec = TaskSpec.clean(submission_of(options))
            if options["dry_run"]:
                self.stdout.write(_forecast(dry_run(spec, owner=first_admin())))
                return
            if spec.array is not None and options["follow"]:
                raise Invalid.field("follow", "an array has many logs: follow its tasks with `manage.py logs -f`")
            task = submit(spec, owner=first_admin(), source=Source.COMMAND_LINE)
        except Invalid as error:
            said = [f"{name}: {' '.join(rules)}" for name, rules in sorted(error.errors.items())]
            raise CommandError("\n".join(said)) from error
        self.stdout.write(_state(task))
        say_when_not_running(self.stderr, "the task starts when it is started")
        if options["follow"]:
            self.stdout.flush()
            with interruptible(self.stderr):
                follow_task(task.pk, self.stdout, self.stderr)


def _absolute(text: str) -> str:
    return str(Path(text).absolute()) if text else text


def _state(task: Task) -> str:
    if task.array_id:
        return _state_of_array(task)
    run = newest_run(task.pk)
    if run is not None:
        return f"task {task.pk} {task.status}, run {run.pk}"
    return said_of(task)


def _state_of_array(first: Task) -> str:
    tasks = list(Task.objects.of_array(first.array_id).order_by("pk").values_list("pk", "status"))
    counts = Counter(status for _, status in tasks)
    said = ", ".join(f"{counts[status]} {status}" for status in TaskStatus.values if status in counts)
    return f"{first.array_id}: tasks {tasks[0][0]} to {tasks[-1][0]}, {said}"


def _forecast(answer: dict[str, Any]) -> str:
    gpus = f", GPU {', '.join(map(str, answer['gpus']))}" if answer["gpus"] else ""
    where = f"on {answer['node']}{gpus}"
    if answer["would_start"]:
        return f"would start now {where}"
    later = f"; would start by {answer['starts_at']:%Y-%m-%d %H:%M:%S} UTC {where}" if answer["starts_at"] else ""
    return f"would wait: {answer['waiting_reason']}{later}"
