"""Run: one execution of a task, or one made by the SDK outside the queue."""

import json
import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q, Value
from django.utils import timezone

from gpus.models import Node
from mlserver.errors import Invalid
from mlserver.prepared import PreparedUpdate
from mlserver.text import storable
from training import paths
from training.models.best_metric import best_metric_of
from training.models.end_rank import EndRank
from training.models.event import Event
from training.models.mentions import mentions
from training.models.run_status import ACTIVE as ACTIVE
from training.models.run_status import ENDED as ENDED
from training.models.run_status import ExitClass as ExitClass
from training.models.run_status import RunStatus as RunStatus
from training.models.tags import HasTag
from training.models.task import Source, Task

RUN_ID = re.compile(r"[0-9]{8}_[0-9]{6}_[a-f0-9]{6}")


def new_run_id(at: datetime | None = None) -> str:
    """`YYYYMMDD_HHMMSS_xxxxxx`: UTC second and 24 random bits."""
    at = at or timezone.now()
    return f"{at:%Y%m%d_%H%M%S}_{secrets.token_hex(3)}"


MAX_SUMMARY_BYTES = 64 * 1024
# The exit reason of a run outside the queue whose process is gone, in the word that the tracking API has for it.
PROCESS_NOT_FOUND = "process_not_found"

# What says where the files of a run lie.
DIRECTORY_COLUMNS = ("id", "project", "name", "dir_name", "outside_dir")


def directory_of(row: Mapping[str, Any]) -> Path:
    """The directory of a run that was read as a dictionary."""
    if row["outside_dir"]:
        return Path(row["outside_dir"])
    return paths.run_dir(row["project"], row["dir_name"] or row["name"], row["id"])


# Columns behind those that an index is ordered by.
FILTERS, FACTS = ("deleted_at", "project", "name"), ("best_metric_value", "created_at")


def names_of(name: str) -> list[str]:
    """What the rows of runs of this name say: one without a name goes by `default`, as its directory does."""
    return ["", name] if name == "default" else [name]


class RunQuerySet(models.QuerySet["Run"]):
    def visible(self) -> "RunQuerySet":
        return self.filter(deleted_at=None)

    def deleted(self) -> "RunQuerySet":
        """Those in the recycle bin."""
        return self.filter(deleted_at__isnull=False)

    def named(self, name: str) -> "RunQuerySet":
        return self.filter(name__in=names_of(name))

    def mentioning(self, text: str) -> "RunQuerySet":
        """With `text` in project, name, notes or id, in any case."""
        return self.filter(mentions(text, using=self.db))

    def newest_first(self) -> "RunQuerySet":
        return self.order_by("-created_at", "-id")

    def active(self) -> "RunQuerySet":
        return self.filter(status__in=ACTIVE)

    def tagged(self, tag: str | Value) -> "RunQuerySet":
        return self.filter(HasTag("tags", tag))

    def queued(self) -> "RunQuerySet":
        """Runs that this server executes, unlike those of an SDK outside the queue."""
        return self.exclude(task=None)

    def outside(self) -> "RunQuerySet":
        """Runs of an SDK outside the queue, and imported ones."""
        return self.filter(task=None)


class Run(models.Model):
    id = models.CharField(verbose_name="ID", primary_key=True, max_length=22, default=new_run_id, editable=False)
    task = models.ForeignKey(Task, on_delete=models.CASCADE, null=True, blank=True, related_name="runs")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="runs")
    source = models.CharField(max_length=16, choices=Source.choices, default=Source.NATIVE)
    project = models.CharField(max_length=100, default="default")
    name = models.CharField(max_length=255, blank=True)
    dir_name = models.CharField(
        max_length=255, blank=True, help_text="the name its directory was made with, once the run is renamed"
    )
    tags = models.JSONField(default=list, blank=True)
    notes = models.TextField(blank=True)
    config = models.JSONField(default=dict, blank=True)
    attempt = models.PositiveIntegerField(default=1, help_text="1 for the first execution of its task")
    summary = models.JSONField(default=dict, blank=True, help_text="what its script says of it as a whole")
    best_metric_name = models.CharField(max_length=255, blank=True, help_text="its primary metric")
    best_metric_value = models.FloatField(null=True, blank=True)
    best_metric_step = models.BigIntegerField(null=True, blank=True)
    best_metric_mode = models.CharField(max_length=3, blank=True, help_text="max or min")
    host = models.CharField(max_length=255, blank=True, help_text="of a run outside the queue: where its process is")
    outside_dir = models.CharField(
        max_length=4096, blank=True, help_text="of a run whose files lie outside of our storage root: where"
    )

    # Its index is a part of run_of_node: SQLite would take one of its own for the active runs, and read all.
    node = models.ForeignKey(Node, on_delete=models.PROTECT, null=True, blank=True, related_name="runs", db_index=False)
    gpus = models.PositiveIntegerField(
        verbose_name="GPUs", default=0, help_text="devices it was placed on; its leases name them"
    )
    cpus = models.PositiveIntegerField(verbose_name="CPUs", default=0, help_text="CPU slots held while active")
    memory_mib = models.PositiveIntegerField(
        verbose_name="memory in MiB", default=0, help_text="memory reserved while active, in MiB"
    )

    status = models.CharField(max_length=16, choices=RunStatus.choices, default=RunStatus.STARTING)
    exit_class = models.CharField(max_length=16, choices=ExitClass.choices, blank=True)
    exit_code = models.IntegerField(null=True, blank=True)
    exit_signal = models.PositiveIntegerField(null=True, blank=True)
    exit_reason = models.TextField(blank=True, help_text="the evidence for the exit class, in a sentence")
    is_stale = models.BooleanField(verbose_name="stale", default=False, help_text="no heartbeat for a while")

    created_at = models.DateTimeField(default=timezone.now)
    launch_claimed_at = models.DateTimeField(null=True, blank=True)
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(default=timezone.now, help_text="last change of status, metrics or notes")
    deleted_at = models.DateTimeField(null=True, blank=True)
    delete_reason = models.CharField(max_length=64, blank=True)
    next_seq = models.PositiveBigIntegerField(default=0, help_text="sequence number of the next metric batch")

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            # Scheduler, agent and finish look at active runs only. Not a partial index: SQLite uses one only for
            # conditions with literal values, and Django binds values as parameters.
            models.Index(fields=["status", "deleted_at", *FACTS, "project", "name", "id"], name="run_by_status"),
            # What the agent of a node asks every second.
            models.Index(fields=["node", "status"], name="run_of_node"),
            models.Index(fields=["task", "-created_at"], name="run_of_task"),
            # The orders of the tracking API's lists (training.run_query). All that they filter by stands behind, so
            # that pages far away, totals, projects and names are found in the index alone, without the rows.
            models.Index(fields=["-created_at", "-id", *FILTERS, "status", "best_metric_value"], name="run_by_age"),
            models.Index(fields=["-updated_at", "-id", *FILTERS, "status", *FACTS], name="run_by_change"),
            models.Index(fields=["-best_metric_value", "-id", *FILTERS, "status", "created_at"], name="run_by_best"),
            # The recycle bin, and how many are not in it. Partial: SQLite would take a whole one for the other orders.
            models.Index(fields=["-deleted_at", "-id"], condition=Q(deleted_at__isnull=False), name="run_by_deletion"),
            models.Index(EndRank("status"), "id", *FILTERS, "status", *FACTS, name="run_by_end"),
            models.Index(
                fields=["project", "deleted_at", "status", "name", "updated_at", *FACTS, "id"], name="run_of_project"
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def directory(self) -> Path:
        """Where its job works and its files lie; a new name does not move it."""
        return directory_of({name: getattr(self, name) for name in DIRECTORY_COLUMNS})

    def claim_launch(self, *, stale_s: float = 5) -> bool:
        """Only one launch goes on; a claim older than `stale_s` belonged to a worker that died."""
        now, stale = timezone.now(), timedelta(seconds=stale_s)
        return bool(CLAIM.run(self.pk, now - stale, now + stale, now))

    def mark_running(self, *, started_at: datetime) -> bool:
        """starting -> running: the command was executed."""
        said = "the command is running"
        changes: dict[str, Any] = {"started_at": started_at, "heartbeat_at": timezone.now()}
        return self._move((RunStatus.STARTING,), "Started", said, status=RunStatus.RUNNING, **changes)

    def note_heartbeat(self) -> bool:
        """Its process was heard of; False when the run has ended."""
        now = timezone.now()
        return bool(Run.objects.active().filter(pk=self.pk).update(heartbeat_at=now, is_stale=False))

    def note_moved(self, directory: Path) -> None:
        """Its files, which lie outside of our storage root, were moved to `directory`."""
        self.outside_dir = str(directory)
        Run.objects.filter(pk=self.pk).update(outside_dir=self.outside_dir)

    def merge_summary(self, update: Mapping[str, Any]) -> bool:
        """Members of `update` come into the summary; `best_metric_*` among them into their columns, too.

        Two merges at once wait for each other, and none is lost. False when it changes nothing. Raises Invalid when
        the summary would be longer than MAX_SUMMARY_BYTES as JSON.
        """
        with transaction.atomic():
            row = Run.objects.select_for_update(no_key=True).only("summary").get(pk=self.pk)
            summary = row.summary | dict(update)
            if summary == row.summary:
                return False
            if (size := len(json.dumps(summary))) > MAX_SUMMARY_BYTES:
                raise Invalid.field("summary", f"it would have {size} bytes, at most {MAX_SUMMARY_BYTES} are kept")
            changes = {"summary": summary, "updated_at": timezone.now(), **best_metric_of(update)}
            Run.objects.filter(pk=self.pk).update(**changes)
        for name, value in changes.items():
            setattr(self, name, value)
        return True

    def request_stop(self, why: str) -> bool:
        """starting or running -> ending; the supervisor is told by execution.stop."""
        changes: dict[str, Any] = {"status": RunStatus.ENDING, "stop_requested_at": timezone.now()}
        said = f"its processes are told to end: {why}"
        return self._move((RunStatus.STARTING, RunStatus.RUNNING), "Stopping", said, **changes)

    def finish(self, status: str, exit_class: str, reason: str, **facts: Any) -> bool:
        """active -> finished, failed or stopped, once; `facts` are exit_code, exit_signal, started_at, ended_at."""
        reason = storable(reason)
        facts = {"ended_at": timezone.now(), **facts}
        changes = {
            "status": status,
            "exit_class": exit_class,
            "exit_reason": reason,
            "is_stale": False,
            **facts,
        }
        failed = status == RunStatus.FAILED
        return self._move(ACTIVE, status.capitalize(), reason, is_warning=failed, **changes)

    def resume(self) -> bool:
        """finished, failed or stopped -> running: a script outside the queue has taken its run up again."""
        if self.task_id is not None:
            return False
        changes: dict[str, Any] = {"exit_class": "", "exit_reason": "", "ended_at": None, "is_stale": False}
        said = "its script has taken it up again"
        return self._move(ENDED, "Resumed", said, status=RunStatus.RUNNING, heartbeat_at=timezone.now(), **changes)

    def hand_back(self, reason: str, *, delay_s: float = 1) -> bool:
        """Placed but not startable now: the run row goes, its task waits again."""
        with transaction.atomic():
            # Task before run, as everybody locks them, so two never wait for each other.
            Task.objects.select_for_update(no_key=True).filter(pk=self.task_id or 0).first()
            gone, _ = Run.objects.filter(pk=self.pk, status=RunStatus.STARTING).delete()
            return bool(gone) and self.task is not None and self.task.hand_back(reason, delay_s=delay_s)

    def _move(
        self,
        expected: tuple[str, ...],
        reason: str,
        message: str,
        *,
        is_warning: bool = False,
        **changes: Any,
    ) -> bool:
        """Compare-and-swap with its event in one transaction; False when the run was elsewhere already."""
        changes["updated_at"] = timezone.now()
        with transaction.atomic(savepoint=False):
            changed = Run.objects.filter(pk=self.pk, status__in=expected).update(**changes)
            if changed:
                Event.objects.say(reason, message, run=self, is_warning=is_warning)
        if changed:
            for name, value in changes.items():
                setattr(self, name, value)
        return bool(changed)


def claim_of(pk: Value, past: Value, future: Value, now: Value) -> tuple[RunQuerySet, dict[str, Any]]:
    """A claim of the future is from before the clock was set back."""
    free = Q(launch_claimed_at=None) | Q(launch_claimed_at__lt=past) | Q(launch_claimed_at__gt=future)
    return Run.objects.filter(free, pk=pk, status=RunStatus.STARTING), {"launch_claimed_at": now}


CLAIM = PreparedUpdate(claim_of)
