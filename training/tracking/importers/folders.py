"""Taking in the directory of one run: making its run here, or telling the known one what is new."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from django.db import IntegrityError, transaction

from training import paths
from training.models import (
    Event,
    ImportedRoot,
    Run,
    RunAlias,
    RunEnvironment,
    RunFolder,
    RunProcess,
    RunStatus,
    Source,
    Spool,
)
from training.tracking import intake, spool
from training.tracking.importers.changes import note_summary, tell
from training.tracking.importers.documents import ENVIRONMENT, META, SUMMARY, News, read_news
from training.tracking.importers.facts import columns_of
from training.tracking.importers.labels import Label, label_of
from training.tracking.importers.layout import Folder, Refused
from training.tracking.importers.processes import process_columns
from training.tracking.importers.report import Outcome, Report
from training.tracking.job_files import opened_folder, root_above
from training.tracking.spool import SpoolFile

AT_ONCE = 200
# Left beside a run by our own library: such a run comes over HTTP.
DELIVERY = "delivery.jsonl"
RECORDS_WITHIN_S = 3600.0


@dataclass
class Known:
    """What is here already under the id of a folder."""

    run: Run | None = None
    folder: RunFolder | None = None
    offset: int = 0
    alias_of: str = ""


@dataclass
class Intake:
    """Takes in folders of one root; what came of each is counted in `report`."""

    root: ImportedRoot
    labels: dict[str, Label] = field(default_factory=dict)
    report: Report = field(default_factory=Report)

    def take_in(self, folders: Iterable[Folder | Refused]) -> Iterator[Outcome]:
        """One outcome for each; a few hundred are asked for at once."""
        batch: list[Folder] = []
        for found in folders:
            if isinstance(found, Refused):
                yield self.report.refuse(found)
                continue
            batch.append(found)
            if len(batch) == AT_ONCE:
                yield from self._take_in_batch(batch)
                batch = []
        yield from self._take_in_batch(batch)

    def _take_in_batch(self, folders: list[Folder]) -> Iterator[Outcome]:
        known = known_of([folder.run_id for folder in folders])
        for folder in folders:
            yield self.take_in_folder(folder, known.get(folder.run_id, Known()))

    def take_in_folder(self, folder: Folder, known: Known) -> Outcome:
        """One run. What cannot be taken in is refused with its reason, and stops nobody else."""
        try:
            if reason := self.why_not(folder, known):
                return self.report.refuse(Refused(folder.path, reason))
            if is_ours(folder, known):
                return Outcome.UNCHANGED
            with opened_folder(root_above(folder.path), folder.path) as descriptor:
                if descriptor is None:
                    return self.report.refuse(Refused(folder.path, "it cannot be opened without following a link"))
                return self.take_in_opened(folder, known, descriptor)
        except OSError as error:
            return self.report.refuse(Refused(folder.path, f"it cannot be read ({error.strerror})"))

    def why_not(self, folder: Folder, known: Known) -> str:
        if known.alias_of:
            return f"it is a part of run {known.alias_of}"
        if known.run is None:
            return "it was made by the server, which knows it no more" if was_queued(folder) else ""
        if known.folder is None:
            is_here = known.run.directory == folder.path
            return "" if is_here else f"its id is that of another run, which came by {known.run.source}"
        directory = known.run.directory
        if directory == folder.path:
            return ""
        return f"its id is that of a run in {directory}" if directory.is_dir() else ""

    def take_in_opened(self, folder: Folder, known: Known, descriptor: int) -> Outcome:
        if has_file(descriptor, DELIVERY):
            return self.report.refuse(Refused(folder.path, "mlserver_client delivers it"))
        news = read_news(descriptor, known.folder.seen if known.folder else {})
        if not news.is_run:
            return self.report.refuse(Refused(folder.path, "it holds no file of a run"))
        self.report.note(folder.path, news)
        label = self.labels.get(folder.run_id, Label())
        if known.run is None:
            run = self.create(folder, news, label, changed_at=os.fstat(descriptor).st_mtime)
            if run is None:
                return self.report.refuse(Refused(folder.path, "its id was taken while it was read"))
            self.take_in_records(run)
            return self.report.count(Outcome.NEW)
        has_changed = tell(known.run, self.folder_row(folder, known), news, label)
        has_records = (news.events_bytes or 0) > known.offset
        if has_records:
            self.take_in_records(known.run)
            known.run.note_heartbeat()
        return self.report.count(Outcome.UPDATED if has_changed or has_records else Outcome.UNCHANGED)

    def create(self, folder: Folder, news: News, label: Label, *, changed_at: float) -> Run | None:
        """The run and all about it but its records, in one transaction; None when somebody else made it meanwhile."""
        told = label_of(news.said.get(META, {}))  # of a run that was exported
        run = Run(
            id=folder.run_id,
            owner=self.root.owner,
            source=Source.RUNICORN,
            tags=label.tags or told.tags,
            notes=label.notes or told.notes,
            **columns_of(news, folder.experiment, changed_at),
        )
        run.outside_dir = "" if run.directory == folder.path else str(folder.path)
        try:
            with transaction.atomic():
                run.save(force_insert=True)
                seen = {**news.seen, "label": label.as_json()}
                RunFolder.objects.create(run=run, root=self.root, path=folder.relative, seen=seen)
                if process := process_columns(news.said.get(META, {})):
                    ended_at = None if run.status == RunStatus.RUNNING else run.ended_at
                    RunProcess.objects.create(run=run, started_at=run.started_at, ended_at=ended_at, **process)
                if SUMMARY in news.said:
                    note_summary(run, news.said[SUMMARY])
                if ENVIRONMENT in news.said:
                    RunEnvironment.objects.create(run=run, facts=news.said[ENVIRONMENT])
                Event.objects.say("Imported", f"from {folder.path}", run=run)
        except IntegrityError:
            return None
        return run

    def folder_row(self, folder: Folder, known: Known) -> RunFolder:
        """Of a run that is known, with its root moved when the directory has: then the old one is gone."""
        assert known.run is not None and known.folder is not None
        row = known.folder
        if (row.root_id, row.path) != (self.root.pk, folder.relative):
            row.root, row.path = self.root, folder.relative
            row.save(update_fields=["root", "path"])
            if known.run.directory != folder.path:
                known.run.note_moved(folder.path)
        return row

    def take_in_records(self, run: Run) -> None:
        def store(records: list[spool.Record]) -> None:
            self.report.points += intake.store(run, records)

        self.report.files += 1
        spool.take_in(SpoolFile(run), store, is_over=run.has_ended, within_s=RECORDS_WITHIN_S)


def known_of(run_ids: list[str]) -> dict[str, Known]:
    """By id; four queries for all of them. What another import makes between two of them is left to it."""
    runs = Run.objects.filter(pk__in=run_ids).in_bulk()
    found = {run_id: Known(run) for run_id, run in runs.items()}
    for row in RunFolder.objects.filter(run__in=list(runs)).exclude(root=None):
        found[row.run_id].folder = row
    spools = Spool.objects.filter(run__in=list(runs), file=SpoolFile.name)
    for run_id, offset in spools.values_list("run", "offset"):
        found[run_id].offset = offset
    for alias, run_id in RunAlias.objects.filter(alias__in=run_ids).values_list("alias", "run"):
        found.setdefault(alias, Known(alias_of=run_id))
    return found


def is_ours(folder: Folder, known: Known) -> bool:
    """A run that the server made itself, in its own root."""
    return known.run is not None and known.folder is None and known.run.directory == folder.path


def was_queued(folder: Folder) -> bool:
    """A directory in our own root whose run is forgotten: nothing brings it back."""
    return folder.root == paths.runs_root() and paths.control_dir(folder.run_id).exists()


def has_file(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True
