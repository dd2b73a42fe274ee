"""Telling a run that is known what its files say now; what they said before, people may have changed here."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from mlserver.errors import Invalid
from training.models import Event, Run, RunEnvironment, RunFolder, RunProcess
from training.models.run import PROCESS_NOT_FOUND
from training.tracking.importers.documents import DELETED, ENVIRONMENT, META, STATUS, SUMMARY, Document, News
from training.tracking.importers.facts import End, deletion_of, end_of
from training.tracking.importers.labels import Label
from training.tracking.importers.processes import host_of, process_columns


def tell(run: Run, folder: RunFolder, news: News, label: Label) -> bool:
    """True when anything changed. All of it is one transaction with what was `seen` of the files."""
    has_label = folder.seen.get("label") != label.as_json()
    if not news.is_new and not has_label:
        return False
    with transaction.atomic():
        if META in news.said:
            note_process(run, news.said[META])
        if STATUS in news.said:
            note_status(run, news.said[STATUS], news)
        if SUMMARY in news.said:
            note_summary(run, news.said[SUMMARY])
        if ENVIRONMENT in news.said:
            RunEnvironment.objects.update_or_create(run=run, defaults={"facts": news.said[ENVIRONMENT]})
        changes = deletion(run, folder, news) | (labelled(run, folder, label) if has_label else {})
        Run.objects.filter(pk=run.pk).update(updated_at=timezone.now(), **changes)
        folder.seen = {**news.seen, "label": label.as_json()}
        folder.save(update_fields=["seen"])
    return True


def note_summary(run: Run, summary: Document) -> None:
    """One that is too large is left out."""
    try:
        run.merge_summary(summary)
    except Invalid as refusal:
        Event.objects.say_again("SummaryRefused", f"{SUMMARY}: {refusal.message}", run=run)


def note_process(run: Run, meta: Document) -> None:
    """A script has taken the run up again, in a process of its own."""
    Run.objects.filter(pk=run.pk).update(host=host_of(meta))
    if process := process_columns(meta):
        RunProcess.objects.update_or_create(run=run, rank=0, defaults=process)


def note_status(run: Run, status: Document, news: News) -> None:
    """The files have the last word on a run that its script and not the server began."""
    process = run.processes.filter(rank=0).first()
    known = {"hostname": run.host, "pid": process and process.pid, "created_at": run.created_at.timestamp()}
    meta = news.said.get(META) or known
    end = end_of(status, meta, news.written_at)
    if end.is_running:
        if run.has_ended:
            run.resume()
        return
    if run.has_ended and (run.status != end.status or run.exit_reason == PROCESS_NOT_FOUND != end.reason):
        run.resume()
    finish(run, end)


def finish(run: Run, end: End) -> None:
    at = end.at or timezone.now()
    if run.finish(end.status, end.exit_class, end.reason, ended_at=at):
        run.processes.filter(ended_at=None).update(ended_at=at)


def deletion(run: Run, folder: RunFolder, news: News) -> dict[str, Any]:
    """The marker moves the run into the recycle bin when it comes, and out of it when it goes."""
    if DELETED in news.said:
        return deletion_of(news.said[DELETED], news.written_at)
    if DELETED in news.gone and run.deleted_at is not None:
        return {"deleted_at": None, "delete_reason": ""}
    return {}


def labelled(run: Run, folder: RunFolder, label: Label) -> dict[str, Any]:
    """Tags that were given and taken away there are given and taken away here."""
    before = folder.seen.get("label", {}).get("tags", [])
    kept = [tag for tag in run.tags if tag not in before]
    changes: dict[str, Any] = {"tags": list(dict.fromkeys([*label.tags, *kept]))}
    if label.notes and folder.seen.get("label", {}).get("notes") != label.notes:
        changes["notes"] = label.notes
    return changes
