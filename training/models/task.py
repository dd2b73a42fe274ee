"""Task: what somebody asked to run, and its way from waiting to ended."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, OuterRef, Q, Subquery, Value
from django.db.models.expressions import Combinable
from django.utils import timezone

from mlserver.prepared import Prepared
from training.models.dependency import TaskDependency, said_of_needs
from training.models.event import Event
from training.models.job_id import new_job_id
from training.models.tags import HasLabel, HasTag
from training.models.task_status import ENDED as ENDED
from training.models.task_status import UNENDED as UNENDED
from training.models.task_status import UNSTARTED as UNSTARTED
from training.models.task_status import Source as Source
from training.models.task_status import TaskStatus as TaskStatus
from training.models.turn import TurnField, turn_of


class TaskQuerySet(models.QuerySet["Task"]):
    def visible(self) -> "TaskQuerySet":
        return self.filter(deleted_at=None)

    def locked(self, pk: int | None) -> "Task | None":
        """The row, kept from changing until the transaction ends; SQLite has one writer at a time anyway."""
        return None if pk is None else LOCKED.first(pk)

    def placeable(self, now: datetime | Value | None = None) -> "TaskQuerySet":
        """Tasks with an execution still to place, in the order they get their turn."""
        due = Q(not_before=None) | Q(not_before__lte=now or timezone.now())
        unended = Q(status__in=(TaskStatus.WAITING, TaskStatus.ACTIVE))
        return self.filter(due, unended, pending_runs__gt=0, unmet=0).in_turn()

    def in_turn(self) -> "TaskQuerySet":
        """By priority, then age, with ageing, see `turn_of`; within one status from the index `task_line`."""
        return self.order_by("turn", "pk")

    def tagged(self, tag: str) -> "TaskQuerySet":
        return self.filter(HasTag("tags", tag))

    def of_array(self, array_id: str) -> "TaskQuerySet":
        return self.filter(array_id=array_id, array_index__isnull=False)

    def labelled(self, key: str, value: str) -> "TaskQuerySet":
        return self.filter(HasLabel("labels", key, value))

    def with_newest_run(self) -> "TaskQuerySet":
        """Adds `newest_run_id`: the task-level pid, GPUs and log are those of this run."""
        from training.models.run import Run

        runs = Run.objects.visible().filter(task=OuterRef("pk")).order_by("-created_at", "-pk")
        return self.annotate(newest_run_id=Subquery(runs.values("pk")[:1]))


class Task(models.Model):
    job_id = models.CharField(
        verbose_name="job ID", max_length=16, unique=True, default=new_job_id, editable=False, help_text="public name"
    )
    name = models.CharField(max_length=255, blank=True)
    project = models.CharField(max_length=100, default="default")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="tasks")
    source = models.CharField(max_length=16, choices=Source.choices, default=Source.NATIVE)
    tags = models.JSONField(default=list, blank=True)
    labels = models.JSONField(default=list, blank=True, help_text="a list of {key, value}")
    description = models.TextField(blank=True)
    image = models.CharField(max_length=500, blank=True, help_text="name of the environment it runs in, of JOB_IMAGES")
    job = models.JSONField(default=dict, blank=True, help_text="what the Jobs API says beyond: type, mounts")
    schedule = models.ForeignKey(
        "training.TaskSchedule", on_delete=models.SET_NULL, null=True, blank=True, related_name="tasks", db_index=False
    )
    array_id = models.CharField(
        verbose_name="array ID", max_length=18, blank=True, help_text="what the tasks of one submission share"
    )
    array_index = models.PositiveIntegerField(null=True, blank=True, help_text="from 0 within its array")
    array_size = models.PositiveIntegerField(null=True, blank=True)

    command = models.JSONField(help_text="a list is an argument vector, a string is given to /bin/sh -c")
    cwd = models.CharField(max_length=4096, blank=True, help_text="empty: the run directory")
    env = models.JSONField(default=dict, blank=True)
    config = models.JSONField(default=dict, blank=True)

    gpus = models.PositiveIntegerField(verbose_name="GPUs", default=0)
    gpu_memory_mib = models.PositiveIntegerField(
        verbose_name="GPU memory in MiB", null=True, blank=True, help_text="memory needed on each GPU"
    )
    is_exclusive = models.BooleanField(verbose_name="exclusive", default=True, help_text="no other run on its GPUs")
    cpus = models.PositiveIntegerField(verbose_name="CPUs", default=1)
    memory_mib = models.PositiveIntegerField(verbose_name="memory in MiB", null=True, blank=True)
    ranks = models.PositiveIntegerField(default=1, help_text="processes of each run")
    pool = models.CharField(max_length=64, default="default")
    queue = models.CharField(max_length=64, default="default")
    priority = models.IntegerField(default=0, help_text="higher first, -100..100")
    queue_priority = models.IntegerField(default=0, help_text="that of its queue, added to its own")
    is_demo = models.BooleanField(verbose_name="demo", default=False, help_text="counts toward no ceiling")
    is_session = models.BooleanField(
        verbose_name="session", default=False, help_text="run by the built-in trainer, under its ceiling"
    )

    repeat = models.PositiveIntegerField(default=1)
    max_retries = models.PositiveIntegerField(default=0, help_text="for each repeat together")
    backoff_s = models.FloatField(verbose_name="back-off in s", default=10, help_text="doubles with each retry")
    time_limit_s = models.FloatField(verbose_name="time limit in s", null=True, blank=True)
    grace_s = models.FloatField(verbose_name="grace in s", default=10, help_text="between TERM and KILL when stopped")

    status = models.CharField(max_length=16, choices=TaskStatus.choices, default=TaskStatus.WAITING)
    waiting_reason = models.TextField(blank=True)
    pending_runs = models.PositiveIntegerField(default=1, help_text="executions still to place")
    retries_used = models.PositiveIntegerField(default=0)
    runs_completed = models.PositiveIntegerField(default=0)
    runs_failed = models.PositiveIntegerField(default=0)
    unmet = models.PositiveIntegerField(default=0, help_text="tasks it still depends on")
    not_before = models.DateTimeField(null=True, blank=True)
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    queued_at = models.DateTimeField(default=timezone.now, help_text="age for the order of waiting")
    turn = TurnField(editable=False, help_text="least goes first")
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = TaskQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            # Task.objects.placeable() and places in its line, from the index alone. Not partial: see Run.
            models.Index(fields=["status", "turn", "id", "unmet", "not_before", "pending_runs"], name="task_line"),
            # Totals of lists, and their pages however far away, in the index alone: without reading the rows before.
            models.Index(fields=["-id", "deleted_at", "ended_at"], name="task_by_age"),
            models.Index(fields=["status", "-id", "deleted_at"], name="task_by_status"),
            models.Index(fields=["owner", "-id", "deleted_at"], name="task_by_owner"),
            models.Index(fields=["schedule", "-id"], name="task_of_schedule", condition=~models.Q(schedule=None)),
            # SQLite uses it where a query says that the index is not null.
            models.Index(
                fields=["array_id", "array_index"], name="task_of_array", condition=~models.Q(array_index=None)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.name}".strip()

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    def hold(self) -> bool:
        """waiting -> held."""
        return self._move(
            (TaskStatus.WAITING,), "Held", "held by a user", status=TaskStatus.HELD, waiting_reason="held"
        )

    def release(self) -> bool:
        """held -> waiting, at the end of its priority's line."""
        reason = said_of_needs(TaskDependency.objects.unmet_of(self)) if self.unmet else ""
        changes: dict[str, Any] = {"status": TaskStatus.WAITING, "waiting_reason": reason, **self._queued_now()}
        return self._move((TaskStatus.HELD,), "Released", "released by a user", **changes)

    def activate(self, run_id: str, where: str) -> bool:
        """An execution was placed: waiting or active -> active. Call inside the placing transaction."""
        return self._move(
            (TaskStatus.WAITING, TaskStatus.ACTIVE),
            "Scheduled",
            f"run {run_id} placed on {where}",
            run_id=run_id,
            status=TaskStatus.ACTIVE,
            waiting_reason="",
            not_before=None,
            pending_runs=F("pending_runs") - 1,
            started_at=self.started_at or timezone.now(),
        )

    def hand_back(self, reason: str, *, delay_s: float = 1) -> bool:
        """A placed execution did not start, through no fault of its own: it waits again."""
        later = timezone.now() + timedelta(seconds=delay_s)
        changes: dict[str, Any] = {
            "pending_runs": F("pending_runs") + 1,
            "waiting_reason": reason,
            "not_before": later,
        }
        return self._move(
            (TaskStatus.ACTIVE,), "HandedBack", reason, is_warning=True, idle=TaskStatus.WAITING, **changes
        )

    def retry_later(self, why: str) -> bool:
        """One more try of a failed execution after the back-off (doubling, at most an hour)."""
        delay_s = min(self.backoff_s * 2**self.retries_used, 3600)
        said = f"{why}; retry {self.retries_used + 1} of {self.max_retries} in {delay_s:g} s"
        changes: dict[str, Any] = {
            "pending_runs": F("pending_runs") + 1,
            "retries_used": F("retries_used") + 1,
            "not_before": timezone.now() + timedelta(seconds=delay_s),
            "waiting_reason": said,
        }
        return self._move((TaskStatus.ACTIVE,), "Retrying", said, is_warning=True, idle=TaskStatus.WAITING, **changes)

    def wait_for_next(self, **counts: int) -> bool:
        """active -> waiting: no execution is under way, some are still to place. `counts` as in `end`."""
        changes: dict[str, Any] = {"status": TaskStatus.WAITING, **counts}
        return self._move((TaskStatus.ACTIVE,), "", "", **changes)

    def request_stop(self, why: str) -> bool:
        """Nothing more is placed; a task without active runs ends at once, others when their runs have."""
        changes: dict[str, Any] = {
            "stop_requested_at": timezone.now(),
            "pending_runs": 0,
            "waiting_reason": "",
        }
        return self._move(UNENDED, "Stopping", why, idle=TaskStatus.STOPPED, **changes)

    def end(self, status: str, **counts: int) -> bool:
        """active -> completed, failed or stopped; `counts` are runs_completed and runs_failed."""
        changes: dict[str, Any] = {"ended_at": timezone.now(), "waiting_reason": "", "pending_runs": 0, **counts}
        failed = status == TaskStatus.FAILED
        said = f"task {status}"
        return self._move((TaskStatus.ACTIVE,), status.capitalize(), said, is_warning=failed, status=status, **changes)

    def give_up(self, why: str) -> bool:
        """It never starts, because a task that it depends on has ended otherwise than it must."""
        changes: dict[str, Any] = {
            "status": TaskStatus.STOPPED, "ended_at": timezone.now(), "pending_runs": 0, "waiting_reason": "",
        }  # fmt: skip
        return self._move(UNSTARTED, "DependencyFailed", why, is_warning=True, is_followed=False, **changes)

    def note_unmet(self, needs: list[tuple[int, str]]) -> None:
        """What it still depends on: (id, condition). Call with its row locked."""
        self.unmet = len(needs)
        columns: dict[str, Any] = {"unmet": self.unmet}
        if self.status == TaskStatus.WAITING:
            columns["waiting_reason"] = self.waiting_reason = said_of_needs(needs)
        Task.objects.filter(pk=self.pk).update(**columns)

    def requeue(self, unmet: int = 0) -> bool:
        """An ended task runs once more, with its retries renewed, after the `unmet` tasks it depends on."""
        changes: dict[str, Any] = {
            "status": TaskStatus.WAITING, "pending_runs": 1, "retries_used": 0, "stop_requested_at": None,
            "runs_failed": 0, "ended_at": None, "not_before": None, "waiting_reason": "", "unmet": unmet,
            **self._queued_now(),
        }  # fmt: skip
        return self._move(ENDED, "Requeued", "queued again by a user", **changes)

    def _queued_now(self) -> dict[str, Any]:
        now = timezone.now()
        return {"queued_at": now, "turn": turn_of(now, self.priority + self.queue_priority)}

    def delete_softly(self) -> bool:
        return self._move(ENDED, "Deleted", "deleted by a user", deleted_at=timezone.now())

    def hide(self) -> bool:
        """Out of the lists, whatever its status; a live one ends there unseen."""
        return bool(Task.objects.filter(pk=self.pk, deleted_at=None).update(deleted_at=timezone.now()))

    def has_active_runs(self) -> bool:
        from training.models.run import Run

        return Run.objects.filter(task_id=self.pk).active().exists()

    def _move(
        self, expected: tuple[str, ...], reason: str, message: str, *, run_id: str | None = None,
        is_warning: bool = False, idle: TaskStatus | None = None, is_followed: bool = True, **changes: Any,
    ) -> bool:  # fmt: skip
        """Compare-and-swap with its event in one transaction; False when the task was elsewhere already.

        `idle` is the status it gets when none of its runs is active; a placement at the same time waits for the row.
        Where it ends, the tasks that depend on it follow, unless not `is_followed`.
        """
        with transaction.atomic(savepoint=False):
            if idle is not None and Task.objects.locked(self.pk) and not self.has_active_runs():
                changes |= {"status": idle} | ({"ended_at": timezone.now()} if idle in ENDED else {})
            mine = Task.objects.filter(pk=self.pk, status__in=expected)
            if changes.get("status") not in ENDED:
                # One that was deleted while it ran still comes to its end, and to nothing else.
                mine = mine.filter(deleted_at=None)
            changed = mine.update(**changes)
            if changed and reason:
                Event.objects.say(reason, message, task_id=self.pk, run_id=run_id, is_warning=is_warning)
            if changed and is_followed and changes.get("status") in ENDED:
                TaskDependency.objects.follow(self.pk, changes["status"])
        if changed:
            self._take_over(changes)
        return bool(changed)

    def _take_over(self, changes: dict[str, Any]) -> None:
        """Make this instance say what the row says; what the database computed is read when it is asked for."""
        for name, value in changes.items():
            if isinstance(value, Combinable):
                self.__dict__.pop(name, None)
            else:
                setattr(self, name, value)


LOCKED = Prepared(lambda pk: Task.objects.select_for_update(no_key=True).filter(pk=pk)[:1])
