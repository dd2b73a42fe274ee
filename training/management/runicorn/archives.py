"""`runicorn export` and `runicorn import`: runs as an archive, and back."""

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from mlserver.accounts.bootstrap import first_admin
from mlserver.errors import Invalid, OutOfSpace
from training import paths
from training.management.runicorn.choosing import add_storage, chosen_runs
from training.tracking.importers.folders import Intake
from training.tracking.importers.packing import pack
from training.tracking.importers.roots import register_root
from training.tracking.importers.unpacking import unpack

SHOWN = 5


def add_export(parser: ArgumentParser) -> None:
    add_storage(parser)
    parser.add_argument("--project", help="only of this project")
    parser.add_argument("--name", help="only of this name")
    parser.add_argument("--run-id", dest="run_ids", action="append", metavar="ID", help="repeat it for several")
    parser.add_argument("--out", metavar="FILE", help="default runicorn_export_<epoch>.tar.gz")


def export(options: dict[str, Any], out: OutputWrapper) -> None:
    runs = chosen_runs(options).order_by("pk")
    if not runs.exists():
        out.write("No runs matched the given filters. Nothing to export.")
        return
    path = Path(options["out"] or f"runicorn_export_{int(time.time())}.tar.gz").expanduser().absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        count = pack(runs.select_related("node").iterator(chunk_size=100), path)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error
    out.write(f"Exported {count} run(s) to {path}")


def add_import(parser: ArgumentParser) -> None:
    parser.add_argument("--storage", metavar="ROOT", help="put the files there (default: the server's own root)")
    parser.add_argument("--archive", required=True, metavar="FILE", help=".zip, .tar.gz, .tgz or .tar")


def import_archive(options: dict[str, Any], out: OutputWrapper) -> None:
    """What is in the archive becomes runs of the first administrator; runs that are known are left alone."""
    archive = Path(options["archive"]).expanduser()
    if not archive.is_file():
        raise CommandError(f"Archive not found: {archive}")
    root = Path(options["storage"]).expanduser() if options["storage"] else paths.runs_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        row = register_root(root, first_admin(), is_followed=None if options["storage"] else True)
        unpacked = unpack(archive, Path(row.path))
    except Invalid as error:
        raise CommandError(" ".join(said for rules in error.errors.values() for said in rules)) from error
    except OutOfSpace as error:
        raise CommandError(error.message) from error
    except OSError as error:
        raise CommandError(f"Import failed: {error.strerror} ({error.filename})") from error
    intake = Intake(row)
    for _ in intake.take_in(unpacked.folders):
        pass
    out.write(f"Imported {unpacked.files} files into {row.path}: {len(unpacked.folders)} new runs")
    if unpacked.known:
        more = ", ..." if len(unpacked.known) > SHOWN else ""
        shown = ", ".join(unpacked.known[:SHOWN])
        out.write(f"{len(unpacked.known)} runs are known already and were left alone: {shown}{more}")
    if unpacked.skipped:
        out.write(f"{unpacked.skipped} members are no files of runs and were left out")
    for line in intake.report.refusals():
        out.write(line)
