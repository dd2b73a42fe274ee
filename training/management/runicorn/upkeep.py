"""`runicorn manage`: tag, search and delete runs."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, OutputWrapper
from django.utils import timezone

from mlserver.accounts.bootstrap import first_admin
from mlserver.errors import Invalid
from training import recycle_bin
from training.management.listing import one_line
from training.management.runicorn.choosing import add_storage, chosen_runs, the_run
from training.models import Run
from training.models.run import ENDED
from training.records import annotate_run

CLEANED_UP = "cleanup"


def add_manage(parser: ArgumentParser) -> None:
    add_storage(parser)
    parser.add_argument("--action", required=True, choices=["tag", "search", "delete", "cleanup"])
    parser.add_argument("--run-id", metavar="ID", help="of tag and delete")
    parser.add_argument("--tags", metavar="A,B", help="of tag: to be added; of search: all of them")
    parser.add_argument("--project", help="of search and cleanup")
    parser.add_argument("--text", help="of search: in project, name, notes or id")
    parser.add_argument("--days", type=int, default=30, help="of cleanup: ended longer ago (default 30)")
    parser.add_argument("--dry-run", action="store_true", help="of cleanup: only say which")


def manage(options: dict[str, Any], out: OutputWrapper) -> None:
    {"tag": tag, "search": search, "delete": delete, "cleanup": clean_up}[options["action"]](options, out)


def tag(options: dict[str, Any], out: OutputWrapper) -> None:
    run = needed_run(options)
    tags = list(dict.fromkeys([*run.tags, *tags_of(options)]))
    try:
        annotate_run(run, {"tags": tags})
    except Invalid as error:
        raise CommandError(" ".join(error.errors["tags"])) from error
    out.write(f"Tagged {run.pk}: {', '.join(map(one_line, tags))}")


def search(options: dict[str, Any], out: OutputWrapper) -> None:
    runs = chosen_runs(options)
    for name in tags_of(options):
        runs = runs.tagged(name)
    if options["text"]:
        runs = runs.mentioning(options["text"])
    found = runs.values_list("pk", "project", "name", "tags").iterator(chunk_size=1000)
    out.write(f"Found {runs.count()} experiments:")
    for run_id, project, name, tags in found:
        out.write(f"  - {run_id}: {one_line(project)}/{one_line(name)} [{one_line(', '.join(map(str, tags)))}]")


def delete(options: dict[str, Any], out: OutputWrapper) -> None:
    run = needed_run(options)
    outcomes = recycle_bin.delete([run.pk], by=first_admin(), only_of=None)
    if objection := outcomes[run.pk]:
        raise CommandError(f"{run.pk}: {objection}")
    out.write(f"Deleted: {run.pk} is in the recycle bin")


def clean_up(options: dict[str, Any], out: OutputWrapper) -> None:
    """Runs that ended long ago go into the recycle bin."""
    if not 0 <= options["days"] <= 100_000:
        raise CommandError("--days must be from 0 to 100000")
    before = timezone.now() - timedelta(days=options["days"])
    old = chosen_runs(options).filter(status__in=ENDED, ended_at__lt=before).order_by("pk")
    found = list(old.values_list("pk", flat=True))
    if options["dry_run"]:
        out.write(f"Would delete {len(found)} old experiments:")
        for run_id in found:
            out.write(f"  - {run_id}")
        return
    outcomes = recycle_bin.delete(found, by=first_admin(), only_of=None, reason=CLEANED_UP)
    out.write(f"Deleted {sum(not objection for objection in outcomes.values())} old experiments")


def needed_run(options: dict[str, Any]) -> Run:
    if not options["run_id"]:
        raise CommandError(f"--run-id is required for {options['action']}", returncode=2)
    return the_run(options)


def tags_of(options: dict[str, Any]) -> list[str]:
    return [name.strip() for name in (options["tags"] or "").split(",") if name.strip()]
