"""`manage.py submit -- python train.py --lr 0.1`: queue a command as the first administrator."""

import json
import os
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlserver.accounts.bootstrap import first_admin
from mlserver.errors import Invalid
from mlserver.serving.presence import say_when_not_running
from training.management.acting import said_of
from training.management.following import follow_task, interruptible, newest_run
from training.management.numbers import number_in
from training.models import Source, Task
from training.queue.spec import TaskSpec
from training.queue.submit import dry_run, submit

# What makes `python` in the job the `python` of the shell that submits it.
SHELL_VARIABLES = ("PATH", "VIRTUAL_ENV", "CONDA_PREFIX")
NUMBERS = {
    "gpus": "GPUs it needs",
    "gpu-memory-mib": "memory it needs on each GPU, which others may then share",
    "cpus": "CPU slots",
    "memory-mib": "memory of the machine that is reserved for it",
    "priority": "-100 to 100, higher goes first",
    "repeat": "how often to run it, in parallel where there is room",
    "max-retries": "runs again after a failure",
    "backoff-s": "seconds before the first retry, twice as long before each further one",
    "time-limit-s": "seconds after which it is stopped",
    "grace-s": "seconds between TERM and KILL when it is stopped",
}


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
        parser.add_argument("--config", metavar="JSON", help="an object that is kept with its runs")
        parser.add_argument("--hold", action="store_true", help="wait until it is released")
        parser.add_argument("--follow", action="store_true", help="print its log, exit with its success")
        parser.add_argument("--dry-run", action="store_true", help="only say where and when it would start")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            spec = TaskSpec.clean(_submission(options))
            if options["dry_run"]:
                self.stdout.write(_said(dry_run(spec)))
                return
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


def _submission(options: dict[str, Any]) -> dict[str, object]:
    """What was said on the command line; the spec knows the defaults and the rules."""
    fields = ("name", "project", "tags", "pool", "queue", *(name.replace("-", "_") for name in NUMBERS))
    return {
        **{name: options[name] for name in fields if options[name] is not None},
        **_config(options["config"]),
        "command": _command(options),
        "cwd": options["cwd"] or str(Path.cwd()),
        "env": {**{name: os.environ[name] for name in SHELL_VARIABLES if name in os.environ}, **_env(options["env"])},
        "hold": options["hold"],
    }


def _command(options: dict[str, Any]) -> list[str] | str:
    words: list[str] = options["words"]
    if not options["shell"]:
        return words
    if len(words) != 1:
        raise Invalid.field("command", f"--shell takes one quoted string, not {len(words)} words")
    return words[0]


def _config(text: str | None) -> dict[str, object]:
    if text is None:
        return {}
    try:
        return {"config": json.loads(text)}
    except ValueError as error:
        raise Invalid.field("config", f"{text[:60]!r} is not JSON: {error}") from error


def _env(pairs: list[str]) -> dict[str, str]:
    bad = [pair for pair in pairs if "=" not in pair]
    if bad:
        raise Invalid.field("env", f"{bad[0]!r} is not NAME=VALUE")
    return dict(pair.split("=", 1) for pair in pairs)


def _absolute(text: str) -> str:
    return str(Path(text).absolute()) if text else text


def _state(task: Task) -> str:
    run = newest_run(task.pk)
    if run is not None:
        return f"task {task.pk} {task.status}, run {run.pk}"
    return said_of(task)


def _said(answer: dict[str, Any]) -> str:
    if not answer["would_start"]:
        return f"would wait: {answer['waiting_reason']}"
    gpus = f", GPU {', '.join(map(str, answer['gpus']))}" if answer["gpus"] else ""
    return f"would start now on {answer['node']}{gpus}"
