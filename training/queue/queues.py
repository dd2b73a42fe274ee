"""Queues and the limits of users, as administrators make, change and delete them."""

from collections.abc import Mapping

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from mlserver.enqueue import enqueue
from mlserver.errors import Conflict, Invalid, shown
from training.models import Queue, UserLimits
from training.models.queue import DEFAULT_QUEUE
from training.queue.line import renew_turns
from training.queue.pools import in_use
from training.queue.spec import checked, optional, text, whole

LIMITS = {"max_gpus": optional(whole(0, 1_000_000)), "max_running": optional(whole(0, 1_000_000))}
RULES = {
    "name": text(64, is_name=True),
    "description": text(10_000),
    "priority": whole(-100, 100),
    **LIMITS,
}
USER_RULES = {"user": text(150), **LIMITS}


def make_queue(data: Mapping[str, object]) -> Queue:
    """Raises Invalid, and Conflict when there is one of this name."""
    values = checked(data, RULES, required={"name": "is required: 1-64 characters"})
    try:
        with transaction.atomic():
            return Queue.objects.create(**values)
    except IntegrityError as error:
        raise Conflict(f"queue {values['name']} exists already") from error


def change_queue(queue: Queue, data: Mapping[str, object]) -> Queue:
    """Limits count from the next pass on and stop nothing; a new priority moves the tasks that wait."""
    values = checked({name: value for name, value in data.items() if name != "name"}, RULES)
    if queue.is_default and values.get("priority"):
        raise Conflict(f"queue {DEFAULT_QUEUE} keeps priority 0: give the others more or less")
    for name, value in values.items():
        setattr(queue, name, value)
    with transaction.atomic():
        queue.save(update_fields=[*values])
        if "priority" in values:
            renew_turns(queue)
        enqueue("training.queue.tasks.schedule")
    return queue


def delete_queue(queue: Queue) -> None:
    """Raises Conflict while anything that has not ended names it, and for the default one."""
    if queue.is_default:
        raise Conflict(f"queue {DEFAULT_QUEUE} is built in and cannot be deleted")
    with transaction.atomic():
        Queue.objects.select_for_update().filter(pk=queue.pk).first()
        if why := in_use("queue", queue.name):
            raise Conflict(why)
        queue.delete()


def make_limits(data: Mapping[str, object]) -> UserLimits:
    """Raises Invalid for an unknown user, and Conflict when the user has limits."""
    values = checked(data, USER_RULES, required={"user": "is required: a user name"})
    name = values.pop("user")
    user = User.objects.filter(username=name).first()
    if user is None:
        raise Invalid.field("user", f"there is no user {shown(name)}")
    try:
        with transaction.atomic():
            limits = UserLimits.objects.create(user=user, **values)
            enqueue("training.queue.tasks.schedule")
    except IntegrityError as error:
        raise Conflict(f"user {name} has limits already: change those") from error
    return limits


def change_limits(limits: UserLimits, data: Mapping[str, object]) -> UserLimits:
    values = checked(data, LIMITS)
    for name, value in values.items():
        setattr(limits, name, value)
    limits.save(update_fields=[*values])
    enqueue("training.queue.tasks.schedule")
    return limits


def delete_limits(limits: UserLimits) -> None:
    limits.delete()
    enqueue("training.queue.tasks.schedule")
