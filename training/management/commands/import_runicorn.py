"""`manage.py import_runicorn ROOT`: make the runs of a Runicorn storage root runs of this server."""

import time
from argparse import BooleanOptionalAction
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mlserver.accounts.bootstrap import first_admin
from mlserver.errors import Invalid
from training.models import ImportedRoot
from training.tracking.importers.folders import Intake
from training.tracking.importers.following import Follower
from training.tracking.importers.labels import read_labels
from training.tracking.importers.layout import find_folders
from training.tracking.importers.report import Report
from training.tracking.importers.roots import register_root

LOOK_EVERY_S = 1.0


class Command(BaseCommand):
    help = "Import the runs of a Runicorn storage root. Their files stay where they are; again, it imports only news."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("root", type=Path, metavar="ROOT", help="what RUNICORN_DIR was when the runs were made")
        parser.add_argument("--owner", metavar="USERNAME", help="of the new runs (default: the first administrator)")
        parser.add_argument("--watch", action="store_true", help="go on with what comes, until Ctrl-C")
        parser.add_argument(
            "--follow",
            action=BooleanOptionalAction,
            default=None,
            help="let the server go on with what comes, or stop it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            root = register_root(options["root"], owner_named(options["owner"]), is_followed=options["follow"])
        except Invalid as error:
            raise CommandError(error.errors["root"][0]) from error
        try:
            report = import_root(root, self.stderr)
            self.stdout.write(report.summary())
            for line in report.refusals():
                self.stderr.write(line)
            if options["follow"] is not None:
                self.stdout.write(f"the server follows {root.path} {'from now on' if root.is_followed else 'no more'}")
            if options["watch"]:
                self.stdout.flush()
                self._watch(root)
        except KeyboardInterrupt:
            self.stderr.write("\nno longer watching; what was imported stays, and the next time goes on from here")
            raise SystemExit(130) from None

    def _watch(self, root: ImportedRoot) -> None:
        follower = Follower(root)
        while True:
            report = follower.look()
            if report.news:
                self.stdout.write(report.summary())
                self.stdout.flush()
            time.sleep(LOOK_EVERY_S)


def owner_named(username: str | None) -> User:
    """Raises CommandError when there is no such user."""
    if username is None:
        return first_admin()
    owner = User.objects.filter(username=username).first()
    if owner is None:
        raise CommandError(f"there is no user {username!r}")
    return owner


def import_root(root: ImportedRoot, notices: OutputWrapper) -> Report:
    """With a bar on a terminal, for which the runs are counted first."""
    path = Path(root.path)
    intake = Intake(root, read_labels(path))
    console = Console(file=notices)  # type: ignore[arg-type]  # OutputWrapper passes on to a file
    columns = (TextColumn("importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    is_shown = notices.isatty()
    total = sum(1 for _ in find_folders(path)) if is_shown else None
    with Progress(*columns, console=console, disable=not is_shown, transient=True) as progress:
        bar = progress.add_task("", total=total)
        for _ in intake.take_in(find_folders(path)):
            progress.advance(bar)
    return intake.report
