"""`manage.py artifacts purge`: free the space of what was deleted."""

from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from registry.management.content import size
from registry.upkeep import purge, upkeep

MOST_DAYS = 36500
NO_BUDGET_S = 24 * 3600.0


class Command(BaseCommand):
    help = "Content of deleted models and datasets stays on disk until it is purged."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        purging = actions.add_parser("purge", help="remove the content of deleted versions for good")
        rule = "only what was deleted at least DAYS ago (default 0: all)"
        purging.add_argument("--older-than", type=_days, default=0, metavar="DAYS", help=rule)
        purging.add_argument("--dry-run", action="store_true", help="say what it would free, and remove nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        older_than, is_dry_run = timedelta(days=options["older_than"]), options["dry_run"]
        count, freed_bytes = purge(older_than, is_dry_run=is_dry_run)
        versions = f"{count} deleted version{'' if count == 1 else 's'}"
        if is_dry_run:
            self.stdout.write(f"would purge {versions}, {size(freed_bytes)}")
            return
        done = upkeep(NO_BUDGET_S)
        self.stdout.write(f"purged {versions}, freed {size(done.freed_bytes)}")
        if not done.is_complete:
            self.stderr.write("something is being published just now: the rest is freed within ten minutes")


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) <= MOST_DAYS):
        raise ArgumentTypeError(f"{text!r} must be a whole number from 0 to {MOST_DAYS}")
    return int(text)
