"""`manage.py schedules`: what is submitted again and again, and when; --cron makes one, --pause and --delete end it."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlserver.accounts.bootstrap import first_admin
from mlserver.errors import Invalid
from training.management.listing import Listing, one_line
from training.management.numbers import number_in
from training.models import Missed, Overlap, TaskSchedule
from training.queue.schedules import change_schedule, make_schedule

LISTING = Listing(
    ("ID", "State", "Name", "Cron", "Time zone", "Next", "Last", "Owner", "Said"),
    whole=("ID", "State", "Cron", "Next", "Last"),
    spared=("Owner", "Time zone"),
    colours={"on": "green", "paused": "yellow"},
    none_said="No schedule; --cron makes one.",
)
ACTIONS = {"pause": "no time counts", "resume": "times count from now on", "delete": "its tasks stay"}


class Command(BaseCommand):
    help = "List schedules; or make one: --cron '0 3 * * *' -- python train.py"

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--cron", metavar="'M H D M W'", help="make one that submits COMMAND at these times")
        for word, meaning in (
            ("pause", "no time counts"),
            ("resume", "times count from now"),
            ("delete", "it is gone"),
        ):
            what.add_argument(f"--{word}", type=number_in, metavar="ID", help=meaning)
        parser.add_argument("--name")
        parser.add_argument("--timezone", default="UTC", help="whose local time counts (default: UTC)")
        parser.add_argument("--missed", choices=Missed.values, default=Missed.ONCE, help="while the server did not run")
        parser.add_argument("--overlap", choices=Overlap.values, default=Overlap.ALLOW, help="with its last task")
        parser.add_argument("--gpus", type=number_in, default=0, metavar="N")
        parser.add_argument("--queue", default="default")
        parser.add_argument("--cwd", default="")
        parser.add_argument("words", nargs="*", metavar="-- COMMAND", help="program and arguments")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["cron"]:
            self._make(options)
        elif options["delete"] is not None:
            find(options["delete"]).delete()
        elif options["pause"] is not None or options["resume"] is not None:
            is_paused = options["pause"] is not None
            change_schedule(find(options["pause"] if is_paused else options["resume"]), {"paused": is_paused})
        else:
            schedules = TaskSchedule.objects.select_related("owner").order_by("pk")
            LISTING.write([list(_cells(schedule)) for schedule in schedules], self.stdout)

    def _make(self, options: dict[str, Any]) -> None:
        task = {"command": options["words"], **{name: options[name] for name in ("gpus", "queue", "cwd")}}
        said = {name: options[name] for name in ("cron", "timezone", "missed", "overlap")}
        name = {"name": options["name"]} if options["name"] else {}
        try:
            schedule = make_schedule({**said, **name, "task": task}, owner=first_admin())
        except Invalid as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"schedule {schedule.pk}: next at {schedule.next_at:%Y-%m-%d %H:%M} UTC")


def find(pk: object) -> TaskSchedule:
    schedule = TaskSchedule.objects.filter(pk=pk).first() if isinstance(pk, int) and pk < 2**63 else None
    if schedule is None:
        raise CommandError(f"schedule {pk} does not exist; see `manage.py schedules`")
    return schedule


def _cells(schedule: TaskSchedule) -> Iterator[str]:
    yield str(schedule.pk)
    yield "paused" if schedule.is_paused else "on"
    yield one_line(schedule.name)
    yield schedule.cron
    yield schedule.timezone
    for at in (schedule.next_at, schedule.last_at):
        yield f"{at:%Y-%m-%d %H:%M}" if at else ""
    yield schedule.owner.get_username()
    yield one_line(schedule.last_said)
