"""Runs as records: begun by an SDK outside the queue, and annotated by people."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from mlserver.errors import Conflict, shown
from training.models import Event, ExitClass, Run, RunProcess, RunStatus, Source
from training.queue.spec import Refused, checked, mapping, tag_list, text, whole

RUN_ID = re.compile(r"\d{8}_\d{6}_[0-9a-f]{6}")


def run_id(value: object) -> str:
    if isinstance(value, str) and RUN_ID.fullmatch(value):
        return value
    raise Refused(f"{shown(value)} is not a run id: YYYYMMDD_HHMMSS_xxxxxx with six hexadecimal digits")


ANNOTATIONS: dict[str, Callable[[object], Any]] = {"name": text(200), "tags": tag_list, "notes": text(100_000)}
PROCESS: dict[str, Callable[[object], Any]] = {
    "pid": whole(1, 2**22),
    "start_ticks": whole(0, 2**63 - 1),
    "boot_id": text(64),
}
BEGINNING = {**ANNOTATIONS, **PROCESS, "id": run_id, "project": text(100, is_name=True), "config": mapping}

EXIT_CLASSES = {
    RunStatus.FINISHED: ExitClass.OK, RunStatus.FAILED: ExitClass.ERROR, RunStatus.STOPPED: ExitClass.STOPPED,
}  # fmt: skip


def ended_status(value: object) -> RunStatus:
    if isinstance(value, str) and value in EXIT_CLASSES:
        return RunStatus(value)
    raise Refused(f"{shown(value)} must be one of {', '.join(EXIT_CLASSES)}")


ENDING: dict[str, Callable[[object], Any]] = {"status": ended_status, "reason": text(2000)}


def begin_sdk_run(data: Mapping[str, object], *, owner: User) -> Run:
    """A running run without task and node. With `pid` its process is recorded, so that its end can be noticed.

    Raises Invalid with every refused field, Conflict when the id is taken; of two at once one gets the id.
    """
    values = checked(data, BEGINNING)
    process = {name: values.pop(name) for name in PROCESS if name in values}
    now = timezone.now()
    try:
        with transaction.atomic():
            run = Run(
                owner=owner, source=Source.SDK, status=RunStatus.RUNNING, started_at=now, heartbeat_at=now, **values
            )
            run.save(force_insert=True)
            if "pid" in process:
                RunProcess.objects.create(run=run, started_at=now, **process)
            Event.objects.say("Started", "begun by the SDK outside the queue", run=run)
    except IntegrityError as error:
        raise Conflict(f"run {values.get('id')} exists already: choose another id, or leave it out") from error
    return run


def end_sdk_run(run: Run, data: Mapping[str, object]) -> Run:
    """End a run outside the queue as its process says; the server cannot see more of it.

    Raises Invalid, and Conflict when the run has ended, or is executed by the server, which ends it by its exit record.
    """
    values = checked(data, ENDING)
    status = values.get("status", RunStatus.FINISHED)
    if run.task_id is not None:
        raise Conflict(f"run {run.pk} ends when its command does: let the process end")
    reason = values.get("reason") or f"the SDK said: {status}"
    if not run.finish(status, EXIT_CLASSES[status], reason):
        raise Conflict(f"run {run.pk} has ended already")
    run.processes.filter(ended_at=None).update(ended_at=timezone.now())
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
