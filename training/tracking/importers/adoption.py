"""Runs that the original tracking library makes inside a queued task: all they say is that of the task's run.

`RUNICORN_DIR` of a job is a directory of its run alone, so whatever lies there is the run's, however short the script
was; nothing has to be asked of processes, and nothing that the files say of themselves decides whose they are. The text
log is taken over by the supervisor. Everything here may be done again, by several processes at once.
"""

from collections.abc import Callable, Iterator
from itertools import islice

from django.db import transaction

from training import paths
from training.models import Event, Run, RunAlias, RunEnvironment, RunFolder, Spool
from training.tracking import spool
from training.tracking.importers import pictures
from training.tracking.importers.changes import note_summary
from training.tracking.importers.documents import ENVIRONMENT, STATUS, SUMMARY, News, read_news
from training.tracking.importers.layout import Folder, find_folders, is_directory
from training.tracking.importers.processes import text_of
from training.tracking.job_files import opened_folder
from training.tracking.spool import Record, SpoolFile

# A script makes one with each `init`.
MOST_FOLDERS = 1000
FAILURES = ("failed", "interrupted")

Store = Callable[[Run, list[Record]], int]


def take_in(run: Run, store: Store, *, is_over: bool = False, within_s: float = 0) -> bool:
    """Take in what is new; True when nothing is left. `store`, `is_over` and `within_s` as in spool.take_in."""
    folders = list(islice(folders_of(run), MOST_FOLDERS + 1))
    if not folders:
        return True
    if len(folders) > MOST_FOLDERS:
        message = f"its script made more than {MOST_FOLDERS} runs; what the others say is left out"
        Event.objects.say_again("TooManyRuns", message, run=run)
    rows = {row.path: row for row in RunFolder.objects.filter(run=run)}
    offsets = dict(Spool.objects.filter(run=run).values_list("file", "offset"))
    is_done = True
    for path, folder in folders[:MOST_FOLDERS]:
        file = SpoolFile(run, f"{path}/{paths.EVENTS_NAME}")
        written = tell_news(run, rows.get(path) or adopt(run, path, folder.run_id), folder)
        if written > offsets.get(file.name, 0):
            is_done &= take_in_records(file, folder, store, is_over=is_over, within_s=within_s)
    return is_done


def folders_of(run: Run) -> Iterator[tuple[str, Folder]]:
    """Of all ranks, with their paths relative to the run directory."""
    for rank in range(ranks_of(run)):
        name = paths.runicorn_name(rank)
        if is_directory(run.directory / name):
            for found in find_folders(run.directory / name):
                if isinstance(found, Folder):
                    yield f"{name}/{found.relative}", found


def ranks_of(run: Run) -> int:
    """0 when none of the first two wrote anything; so most runs cost no query."""
    if not any(is_directory(run.directory / paths.runicorn_name(rank)) for rank in (0, 1)):
        return 0
    return max(run.processes.count(), 1)


def adopt(run: Run, path: str, run_id: str) -> RunFolder:
    """Note that the folder is a part of the run, and its id another one of it, unless that is somebody's already."""
    with transaction.atomic():
        row, is_new = RunFolder.objects.get_or_create(run=run, path=path)
        if is_new:
            is_free = not Run.objects.filter(pk=run_id).exists()
            if is_free:
                RunAlias.objects.get_or_create(alias=run_id, defaults={"run": run})
            Event.objects.say("Adopted", f"its script made run {run_id}, which is a part of it", run=run)
    return row


def tell_news(run: Run, row: RunFolder, folder: Folder) -> int:
    """What its small files say; returns how many bytes of records there are."""
    with opened_folder(paths.runs_root(), folder.path) as descriptor:
        if descriptor is None:
            return 0
        news = read_news(descriptor, row.seen)
    if news.is_new:
        tell(run, row, folder, news)
    return news.events_bytes or 0


def take_in_records(file: SpoolFile, folder: Folder, store: Store, *, is_over: bool, within_s: float) -> bool:
    def store_all(records: list[Record]) -> None:
        pictures.keep(file.run, folder.path, records)
        store(file.run, records)

    return spool.take_in(file, store_all, is_over=is_over, within_s=within_s)


def tell(run: Run, row: RunFolder, folder: Folder, news: News) -> None:
    """Its status is advice: how a queued run ended is known from its exit record."""
    with transaction.atomic():
        if SUMMARY in news.said:
            note_summary(run, news.said[SUMMARY])
        if ENVIRONMENT in news.said:
            RunEnvironment.objects.get_or_create(run=run, defaults={"facts": news.said[ENVIRONMENT]})
        if (status := text_of(news.said.get(STATUS, {}), "status")) in FAILURES:
            Event.objects.say_again("SaidFailed", f"its script said of run {folder.run_id}: {status}", run=run)
        row.seen = dict(news.seen)
        row.save(update_fields=["seen"])
