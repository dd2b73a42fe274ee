"""`manage.py import_tasks todo.xlsx`: a task for each row of a spreadsheet, as the first administrator."""

import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlserver.accounts.bootstrap import first_admin
from mlserver.serving.presence import say_when_not_running
from training.management.following import interruptible
from training.models import Task
from training.task_table import Imported, TableRow, TaskFunction, import_rows, read_rows, write_run_numbers

LOOK_EVERY_S = 1.0


class Command(BaseCommand):
    help = (
        "Queue a task for each row of the first sheet of an .xlsx file, or of a .csv file. Columns: name, run_num "
        "(runs done), need_run_num (runs wanted), cmd; any other is a parameter, `--key value` of the command."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("table", type=Path, help="todo.xlsx or todo.csv")
        parser.add_argument("--dry-run", action="store_true", help="only say what each row would become")
        parser.add_argument(
            "--watch", action="store_true",
            help="stay, queue rows that are added, and write run_num back after each finished run; Ctrl-C ends it",
        )  # fmt: skip
        parser.add_argument(
            "--function", metavar="MODULE:FUNCTION",
            help="function(parameters, gpu_id) in this directory that makes the command of each run",
        )  # fmt: skip
        parser.add_argument("--python", default=sys.executable, help="interpreter of the function (this one)")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["table"].absolute()
        function = function_of(options)
        table = Table(path, function)
        rows, found = table.take_in(dry_run=options["dry_run"])
        for line in report(rows, found, is_dry=options["dry_run"]):
            self.stdout.write(line)
        if options["dry_run"]:
            return
        say_when_not_running(self.stderr, "the tasks start when it is started")
        if options["watch"]:
            self.stdout.write(f"watching {path}; Ctrl-C ends it, the tasks go on")
            self.stdout.flush()
            with interruptible(self.stderr):
                self.watch(table)
        elif found.refused:
            raise CommandError(f"{len(found.refused)} of {len(rows)} rows were refused")

    def watch(self, table: "Table") -> None:
        while True:
            time.sleep(LOOK_EVERY_S)
            for line in table.look():
                self.stdout.write(line)
                self.stdout.flush()


class Table:
    """A file, the tasks of its rows, and how many of their runs are written back."""

    def __init__(self, path: Path, function: TaskFunction | None) -> None:
        self.path, self.function = path, function
        self.tasks: dict[int, int] = {}
        self.before: dict[int, int] = {}
        self.written: dict[int, int] = {}
        self.seen_at = 0.0

    def take_in(self, *, dry_run: bool = False) -> tuple[list[TableRow], Imported]:
        """Raises CommandError for a file that is no table."""
        try:
            self.seen_at = self.path.stat().st_mtime
            rows = read_rows(self.path, has_function=self.function is not None)
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        rows = [row for row in rows if row.number not in self.tasks]
        found = import_rows(self.path, rows, owner=first_admin(), function=self.function, dry_run=dry_run)
        for row in rows:
            if row.number in found.tasks:
                self.tasks[row.number] = found.tasks[row.number].pk
                self.before[row.number] = row.run_num - counted_before(found, row)
        return rows, found

    def look(self) -> list[str]:
        """What is new: rows that were added to the file, and runs that have finished."""
        said: list[str] = []
        if self.path.exists() and self.path.stat().st_mtime != self.seen_at:
            rows, found = self.take_in()
            said += [line for line in report(rows, found) if found.new or found.refused]
        numbers = {}
        done = dict(Task.objects.filter(pk__in=self.tasks.values()).values_list("pk", "runs_completed"))
        for number, task_id in self.tasks.items():
            value = self.before[number] + done.get(task_id, 0)
            if done.get(task_id) and self.written.get(number) != value:
                numbers[number] = value
        if numbers:
            write_run_numbers(self.path, numbers)
            self.written |= numbers
            self.seen_at = self.path.stat().st_mtime
            said += [f"row {number}: run_num is {value}" for number, value in sorted(numbers.items())]
        return said


def counted_before(found: Imported, row: TableRow) -> int:
    """Runs of a task of an earlier import that the file may count already: as many as its row wants fewer now."""
    task = found.tasks[row.number]
    return 0 if row.number in found.new else task.repeat - row.remaining


def function_of(options: dict[str, Any]) -> TaskFunction | None:
    reference = options["function"]
    if reference is None:
        return None
    if not all(reference.partition(":")):
        raise CommandError(f"--function: {reference!r} is not MODULE:FUNCTION")
    return TaskFunction(reference, Path.cwd(), options["python"])


def report(rows: list[TableRow], found: Imported, *, is_dry: bool = False) -> list[str]:
    said = []
    for row in rows:
        if row.number in found.refused:
            said.append(f"row {row.number} is refused: {found.refused[row.number]}")
        elif row.number in found.done:
            said.append(f"row {row.number}: nothing left to do, {row.run_num} of {row.need_run_num} runs are done")
        elif is_dry and row.number in found.new:
            said.append(f"row {row.number}: {row.name}, {row.remaining} runs")
        elif row.number in found.tasks:
            what = "task" if row.number in found.new else "is queued already as task"
            said.append(f"row {row.number}: {what} {found.tasks[row.number].pk} {row.name}, {row.remaining} runs")
    verb = "would be queued" if is_dry else "queued"
    said.append(f"{len(found.new)} {verb}, {len(found.done)} done, {len(found.refused)} refused")
    return said
