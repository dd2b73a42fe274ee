"""`manage.py runicorn COMMAND`: what Runicorn's own command line does, on the runs of this server."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper

from training.management.runicorn import archives, configuration, data, limits, upkeep

Adder = Callable[[ArgumentParser], None]
Action = Callable[[dict[str, Any], OutputWrapper], None]

COMMANDS: dict[str, tuple[str, Adder, Action]] = {
    "viewer": ("start the server at Runicorn's address", configuration.add_viewer, configuration.viewer),
    "config": ("where scripts write without RUNICORN_DIR", configuration.add_config, configuration.config),
    "export": ("runs as a .tar.gz", archives.add_export, archives.export),
    "import": ("runs from an archive", archives.add_import, archives.import_archive),
    "export-data": ("numbers of a run as a file", data.add_export_data, data.export_data),
    "manage": ("tag, search and delete runs", upkeep.add_manage, upkeep.manage),
    "rate-limit": ("how often the API may be called", limits.add_rate_limit, limits.rate_limit),
}
# They come with what they are about.
LATER = {
    "artifacts": "artifacts of runs are not here yet; `manage.py models` and `manage.py datasets` show what there is",
    "generate-manifest": "manifests are not here yet; `manage.py runicorn export` writes runs as an archive",
}


class Command(BaseCommand):
    help = "The commands of Runicorn's command line, as the first administrator."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
        for name, (meaning, add_arguments, _) in COMMANDS.items():
            add_arguments(commands.add_parser(name, help=meaning, description=f"{meaning[0].upper()}{meaning[1:]}."))
        for name in LATER:
            later = commands.add_parser(name, help="comes later", prefix_chars="\0", add_help=False)
            later.add_argument("rest", nargs="*")

    def handle(self, *args: Any, **options: Any) -> None:
        if (sentence := LATER.get(options["command"])) is not None:
            raise CommandError(f"runicorn {options['command']}: {sentence}", returncode=2)
        COMMANDS[options["command"]][2](options, self.stdout)
