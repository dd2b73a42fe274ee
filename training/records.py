"""Runs as records: begun by an SDK outside the queue, and annotated by people."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from mlserver.errors import Conflict, shown
from training.execution.liveness import pid_namespace
from training.models import Event, ExitClass, Run, RunProcess, RunStatus, Source
from training.models.run import PROCESS_NOT_FOUND, RUN_ID
from training.queue.spec import Refused, boolean, checked, mapping, tag_list, text, whole


def run_id(value: object) -> str:
    if isinstance(value, str) and RUN_ID.fullmatch(value):
        return value
    raise Refused(f"{shown(value)} is not a run id: YYYYMMDD_HHMMSS_xxxxxx with six hexadecimal digits")


def instant(value: object) -> datetime:
    try:
        found = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:  # well formed, but no such day or hour
        found = None
    if found is None or found.tzinfo is None or not 1970 <= found.year <= 9998:
        raise Refused(f"{shown(value)} is not an instant like 2026-03-07T09:15:11.25Z")
    return found.astimezone(UTC)


ANNOTATIONS: dict[str, Callable[[object], Any]] = {"name": text(255), "tags": tag_list, "notes": text(100_000)}
PROCESS: dict[str, Callable[[object], Any]] = {
    "pid": whole(1, 2**22),
    "start_ticks": whole(0, 2**63 - 1),
    "boot_id": text(64),
}
BEGINNING = {
    **ANNOTATIONS, **PROCESS, "id": run_id, "project": text(100, is_name=True), "config": mapping,
    "host": text(255), "started_at": instant, "pid_namespace": whole(0, 2**63 - 1), "resume": boolean,
}  # fmt: skip

EXIT_CLASSES = {
    RunStatus.FINISHED: ExitClass.OK, RunStatus.FAILED: ExitClass.ERROR, RunStatus.STOPPED: ExitClass.STOPPED,
}  # fmt: skip


def ended_status(value: object) -> RunStatus:
    if isinstance(value, str) and value in EXIT_CLASSES:
        return RunStatus(value)
    raise Refused(f"{shown(value)} must be one of {', '.join(EXIT_CLASSES)}")


ENDING: dict[str, Callable[[object], Any]] = {"status": ended_status, "reason": text(2000), "ended_at": instant}


def begin_sdk_run(data: Mapping[str, object], *, owner: User) -> Run:
    """A running run without task and node. With `pid` its process is recorded, so that its end can be noticed.

    Raises Invalid with every refused field, Conflict when the id is taken; of two at once one gets the id.
    """
    values, process = beginning_of(data)
    now = timezone.now()
    started_at = values.pop("started_at", now)
    values |= {"created_at": started_at, "started_at": started_at, "heartbeat_at": now}
    try:
        with transaction.atomic():
            run = Run(owner=owner, source=Source.SDK, status=RunStatus.RUNNING, **values)
            run.save(force_insert=True)
            if process:
                RunProcess.objects.create(run=run, started_at=started_at, **process)
            Event.objects.say("Started", "begun by the SDK outside the queue", run=run)
    except IntegrityError as error:
        raise Conflict(f"run {values.get('id')} exists already: choose another id, or leave it out") from error
    return run


def take_up_sdk_run(data: Mapping[str, object], *, owner: User) -> Run | None:
    """With `resume`, the run of `owner` outside the queue that has this id: it runs again, in the process named now.

    None without `resume`, and when there is no such run. Raises Invalid as begin_sdk_run does.
    """
    values, process = beginning_of(data)
    mine = Run.objects.visible().outside().filter(owner=owner, source=Source.SDK, outside_dir="")
    run = mine.filter(pk=values.get("id", "")).first() if data.get("resume") else None
    if run is None:
        return None
    with transaction.atomic():
        run.resume()
        if "host" in values:
            Run.objects.filter(pk=run.pk).update(host=values["host"])
        if process:
            about = {"start_ticks": None, "boot_id": "", **process, "ended_at": None}
            RunProcess.objects.update_or_create(run=run, rank=0, defaults=about)
    return run


def beginning_of(data: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns of the run, and of its process: none when its number is one of another container."""
    values = checked(data, BEGINNING)
    process = {name: values.pop(name) for name in PROCESS if name in values}
    is_ours = values.pop("pid_namespace", pid_namespace()) == pid_namespace()
    values.pop("resume", None)
    return values, process if "pid" in process and is_ours else {}


def end_sdk_run(run: Run, data: Mapping[str, object]) -> Run:
    """End a run outside the queue as its process says; the server cannot see more of it.

    One whose process was not found is ended as it says, too: its last word may come late. Raises Invalid, and
    Conflict when the run has ended, or is executed by the server, which ends it by its exit record.
    """
    values = checked(data, ENDING)
    status = values.get("status", RunStatus.FINISHED)
    if run.task_id is not None:
        raise Conflict(f"run {run.pk} ends when its command does: let the process end")
    reason = values.get("reason") or f"the SDK said: {status}"
    ended_at = values.get("ended_at") or timezone.now()
    with transaction.atomic():
        if run.exit_reason == PROCESS_NOT_FOUND:
            run.resume()
        if not run.finish(status, EXIT_CLASSES[status], reason, ended_at=ended_at):
            raise Conflict(f"run {run.pk} has ended already")
        run.processes.filter(ended_at=None).update(ended_at=ended_at)
    return run


def annotate_run(run: Run, data: Mapping[str, object]) -> Run:
    """Change name, tags and notes, at any time; other fields are ignored. Its directory stays where it is."""
    values = checked(data, ANNOTATIONS)
    if values.get("name", run.name) != run.name and not run.dir_name:
        values["dir_name"] = run.name or "default"
    if values:
        Run.objects.filter(pk=run.pk).update(**values, updated_at=timezone.now())
        run.refresh_from_db()
    return run


def tag_run(run: Run, tags: Iterable[str], *, is_added: bool) -> Run:
    """Give a run these tags, beside or instead of those it has; two calls at once wait for each other."""
    with transaction.atomic():
        run = Run.objects.select_for_update(no_key=True).get(pk=run.pk)
        return annotate_run(run, {"tags": list(dict.fromkeys([*(run.tags if is_added else []), *tags]))})
