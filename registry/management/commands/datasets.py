"""`manage.py datasets`: list, add and remove datasets."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from registry.management.content import add, newest_versions, remove, row_of, said_of, show
from registry.models import ArtifactType, ArtifactVersion

COLUMNS = ("Name", "Version", "Size", "Format", "Samples", "Dimensions", "Labels", "Created", "Owner", "File")


class Command(BaseCommand):
    help = "List datasets with their newest version, add one from a file, remove one."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="list all that can be read")
        adding = actions.add_parser("add", help="read what is in a file and store it as a new dataset")
        adding.add_argument("name", metavar="NAME")
        adding.add_argument("file", metavar="FILE", type=Path, help=".csv, .npy, .npz, or .tar, .tar.gz, .tgz, .zip")
        removing = actions.add_parser("rm", help="remove all versions; refused until no session needs them")
        removing.add_argument("name", metavar="NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['action']}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        versions = newest_versions(ArtifactType.DATASET)
        show(self.stdout, COLUMNS, [row_of(version, *_facts(version)) for version in versions])

    def _add(self, options: dict[str, Any]) -> None:
        version = add(ArtifactType.DATASET, options["name"], options["file"])
        facts = version.dataset
        said = said_of(version, format=facts.format, samples=facts.sample_count, dimensions=facts.dimensions)
        self.stdout.write(said)
        if facts.untrainable_reason:
            self.stderr.write(f"nothing can be trained on it: {facts.untrainable_reason}")

    def _rm(self, options: dict[str, Any]) -> None:
        self.stdout.write(remove(ArtifactType.DATASET, options["name"]))


def _facts(version: ArtifactVersion) -> list[object]:
    """Format, samples, dimensions, labels."""
    facts = getattr(version, "dataset", None)
    if facts is None:
        return ["-"] * 4
    labels = f"{facts.class_count} {facts.target}" if facts.class_count else facts.target
    return [facts.format, facts.sample_count, facts.dimensions or "-", labels or "-"]
