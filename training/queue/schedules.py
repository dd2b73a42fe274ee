"""Schedules: made, changed, and fired, each time exactly once."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from mlserver.errors import Conflict, Invalid, ServerError, shown
from training.models import Missed, Overlap, Task, TaskSchedule
from training.models.task import UNENDED
from training.queue.cron import cron_expression, next_time, time_zone
from training.queue.names import check_pool, queue_priority
from training.queue.refused import Refused
from training.queue.spec import RULES as SPEC_RULES
from training.queue.spec import TaskSpec, boolean, checked, text
from training.queue.submit import submit

# A time that is dealt with later than this was missed.
MISSED_AFTER = timedelta(seconds=60)
NOT_IN_TEMPLATES = {"depends_on"}


def one_of(*words: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if value not in words:
            raise Refused(f"{shown(value)} is not one of {', '.join(words)}")
        return str(value)

    return check


def template(value: object) -> dict[str, Any]:
    """The fields of a submission that were said, if it would be taken."""
    if not isinstance(value, Mapping):
        raise Refused(f"{shown(value)} is not an object with the fields of a task")
    if value.get("depends_on"):
        raise Refused("depends_on is not for schedules: a task that comes again and again waits for no other")
    try:
        spec = TaskSpec.clean(value)
        spec.members()
        check_pool(spec.pool)
        queue_priority(spec.queue)
    except Invalid as error:
        raise Refused(error.message) from error
    return {name: value[name] for name in SPEC_RULES if name in value and name not in NOT_IN_TEMPLATES}


RULES = {
    "name": text(200),
    "cron": cron_expression,
    "timezone": time_zone,
    "task": template,
    "missed": one_of(*Missed.values),
    "overlap": one_of(*Overlap.values),
    "paused": boolean,
}
REQUIRED = {
    "cron": "is required: minute hour day month weekday, as 0 3 * * *",
    "task": "is required: an object with the fields of a task",
}
COLUMNS = {"task": "template", "paused": "is_paused"}


def make_schedule(data: Mapping[str, object], *, owner: User) -> TaskSchedule:
    """Raises Invalid with every refused field."""
    values = checked(data, RULES, required=REQUIRED)
    schedule = TaskSchedule(owner=owner, **{COLUMNS.get(name, name): value for name, value in values.items()})
    schedule.name = schedule.name or str(schedule.template.get("name", ""))
    schedule.next_at = following(schedule, timezone.now())
    schedule.save()
    return schedule


def change_schedule(schedule: TaskSchedule, data: Mapping[str, object]) -> TaskSchedule:
    """Times count anew from now where they or the pause change: what was missed in a pause stays missed."""
    values = checked(data, RULES)
    columns = {COLUMNS.get(name, name): value for name, value in values.items()}
    with transaction.atomic():
        schedule = TaskSchedule.objects.select_for_update(no_key=True).get(pk=schedule.pk)
        for name, value in columns.items():
            setattr(schedule, name, value)
        if values.keys() & {"cron", "timezone", "paused"}:
            schedule.next_at = following(schedule, timezone.now())
            columns["next_at"] = schedule.next_at
        schedule.save(update_fields=[*columns])
    return schedule


def fire_due() -> list[int]:
    """Submit what is due; ids of the tasks. Any number at once, killed at any moment: each time counts once."""
    due = list(TaskSchedule.objects.due(timezone.now()).select_related("owner").order_by("next_at", "pk"))
    fired = [fire(schedule) for schedule in due]
    return [task.pk for task in fired if task is not None]


def fire(schedule: TaskSchedule) -> Task | None:
    """Claim the time that is due and submit its task in one transaction; None when nothing was submitted."""
    now = timezone.now()
    with transaction.atomic():
        was_missed = schedule.next_at is not None and now - schedule.next_at > MISSED_AFTER
        if not schedule.claim(following(schedule, now)):
            return None
        if reason := objection(schedule, was_missed=was_missed):
            schedule.say(reason)
            return None
        try:
            return submit_of(schedule)
        except ServerError as error:  # a queue that is gone, say: the next time it is tried again
            schedule.say(f"not submitted: {error.message}")
            return None


def objection(schedule: TaskSchedule, *, was_missed: bool) -> str:
    """Why the time that is due passes without a task; empty when it does not."""
    if was_missed and schedule.missed == Missed.SKIP:
        return "skipped: the server was not running at that time"
    if not schedule.owner.is_active:
        return f"not submitted: user {schedule.owner.get_username()} is switched off"
    unended = schedule.tasks.filter(status__in=UNENDED).order_by("-pk").values_list("pk", flat=True)
    if schedule.overlap == Overlap.SKIP and (last := unended.first()):
        return f"skipped: task {last} has not ended"
    return ""


def fire_now(schedule: TaskSchedule) -> Task:
    """One task beside the times. Raises Conflict while it may not overlap, Invalid when its template is refused now."""
    if reason := objection(schedule, was_missed=False):
        raise Conflict(f"schedule {schedule.pk}: {reason}")
    return submit_of(schedule)


def submit_of(schedule: TaskSchedule) -> Task:
    spec = TaskSpec.clean({"name": schedule.name, **schedule.template})
    return submit(spec, owner=schedule.owner, also=lambda task: note_schedule(task, schedule))


def note_schedule(task: Task, schedule: TaskSchedule) -> None:
    Task.objects.filter(pk=task.pk).update(schedule=schedule)


def following(schedule: TaskSchedule, now: datetime) -> datetime | None:
    return None if schedule.is_paused else next_time(schedule.cron, schedule.timezone, now)
