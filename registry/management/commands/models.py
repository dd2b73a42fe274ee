"""`manage.py models`: list, add and remove models."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from registry.management.content import add, newest_versions, remove, row_of, said_of, show
from registry.models import ArtifactType

COLUMNS = ("Name", "Version", "Size", "Created", "Owner", "File")


class Command(BaseCommand):
    help = "List models with their newest version, add one from a file, remove one."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="list all that can be read")
        adding = actions.add_parser("add", help="store a file as the first version of a new model")
        adding.add_argument("name", metavar="NAME")
        adding.add_argument("file", metavar="FILE", type=Path, help="stored as it is, never unpickled")
        removing = actions.add_parser("rm", help="remove all versions; `artifacts purge` frees their space")
        removing.add_argument("name", metavar="NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['action']}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        show(self.stdout, COLUMNS, [row_of(version) for version in newest_versions(ArtifactType.MODEL)])

    def _add(self, options: dict[str, Any]) -> None:
        self.stdout.write(said_of(add(ArtifactType.MODEL, options["name"], options["file"])))

    def _rm(self, options: dict[str, Any]) -> None:
        self.stdout.write(remove(ArtifactType.MODEL, options["name"]))
