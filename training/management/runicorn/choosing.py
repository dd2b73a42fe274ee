"""Which runs a command means."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from training import paths
from training.models import Run, RunAlias
from training.models.run import RunQuerySet


def add_storage(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--storage",
        default=os.environ.get("RUNICORN_DIR") or None,
        metavar="ROOT",
        help="only runs whose files lie in this storage root (RUNICORN_DIR; default: all runs of the server)",
    )


def chosen_runs(options: dict[str, Any]) -> RunQuerySet:
    """Runs that are not deleted, by --storage, --project, --name and --run-id where the command has them."""
    runs = Run.objects.visible()
    if options.get("storage"):
        runs = runs_below(runs, Path(options["storage"]))
    filters = {name: options[name] for name in ("project", "name") if options.get(name)}
    if options.get("run_ids"):
        aliases = dict(RunAlias.objects.filter(alias__in=options["run_ids"]).values_list("alias", "run"))
        filters["pk__in"] = [aliases.get(run_id, run_id) for run_id in options["run_ids"]]
    return runs.filter(**filters)


def runs_below(runs: RunQuerySet, root: Path) -> RunQuerySet:
    resolved = root.expanduser().resolve()
    if resolved == paths.runs_root().resolve():
        return runs.filter(outside_dir="") | runs.filter(outside_dir__startswith=f"{paths.runs_root()}/")
    return runs.filter(outside_dir__startswith=f"{resolved}/")


def the_run(options: dict[str, Any]) -> Run:
    """The one of --run-id. Raises CommandError when there is none."""
    found = chosen_runs({**options, "run_ids": [options["run_id"]]}).first()
    if found is None:
        raise CommandError(f"Run not found: {options['run_id']}")
    return found
