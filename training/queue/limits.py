"""Limits per queue and per user: what their runs hold, and what they may hold at once."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet, Value

from mlserver.prepared import Prepared
from training.models import Queue, Run, UserLimits
from training.queue.placement import count


@dataclass
class Used:
    """Runs under way, and the GPUs they hold."""

    running: int = 0
    gpus: int = 0

    def add(self, gpus: int, runs: int = 1) -> None:
        self.running += runs
        self.gpus += gpus * runs


@dataclass
class Usage:
    """What is held, by name of the queue and by id of the user. A demonstration counts toward no limit."""

    of_queues: defaultdict[str, Used] = field(default_factory=lambda: defaultdict(Used))
    of_users: defaultdict[int, Used] = field(default_factory=lambda: defaultdict(Used))

    def add(self, queue: str, user_id: int, gpus: int) -> None:
        self.of_queues[queue].add(gpus)
        self.of_users[user_id].add(gpus)

    def remove(self, queue: str, user_id: int, gpus: int) -> None:
        """A run has ended, in a forecast."""
        self.of_queues[queue].add(gpus, -1)
        self.of_users[user_id].add(gpus, -1)


@dataclass(frozen=True)
class Limit:
    """`whose` in words; None is no limit."""

    whose: str
    max_gpus: int | None
    max_running: int | None

    def refusal(self, used: Used, gpus: int) -> str:
        """Why one more run with `gpus` is too much; empty when it is not."""
        if self.max_running is not None and used.running >= self.max_running:
            verb = "is" if used.running == 1 else "are"
            return f"{used.running} of {count(self.max_running, 'run')} of {self.whose} {verb} under way (max_running)"
        if self.max_gpus is not None and gpus and used.gpus + gpus > self.max_gpus:
            held = f"{used.gpus} of {count(self.max_gpus, 'GPU')} of {self.whose} are held"
            return f"needs {count(gpus, 'GPU')}, {held} (max_gpus)"
        return ""


class Limits:
    """Read once per pass, in one query."""

    def __init__(self, usage: Usage) -> None:
        self.usage = usage
        self.of_queues: dict[str, Limit] = {}
        self.of_users: dict[int, Limit] = {}
        for name, user_id, max_gpus, max_running in WITH_A_LIMIT.rows():
            if user_id:
                self.of_users[user_id] = Limit(f"user {name}", max_gpus, max_running)
            else:
                self.of_queues[name] = Limit(f"queue {name}", max_gpus, max_running)

    def refusal(self, queue: str, user_id: int, gpus: int) -> str:
        """The sentence of the limit that is in the way of one more run; empty when none is."""
        said = ""
        if limit := self.of_queues.get(queue):
            said = limit.refusal(self.usage.of_queues[queue], gpus)
        if not said and (limit := self.of_users.get(user_id)):
            said = limit.refusal(self.usage.of_users[user_id], gpus)
        return said


def rows_with_a_limit() -> "QuerySet[Queue, tuple[Any, ...]]":
    """(name, user id or 0, max_gpus, max_running) of queues and users that have a limit."""
    is_limited = Q(max_gpus__isnull=False) | Q(max_running__isnull=False)
    queues = Queue.objects.filter(is_limited).order_by()
    users = UserLimits.objects.filter(is_limited).order_by()
    return (
        queues.annotate(of=Value(0))
        .values_list("name", "of", "max_gpus", "max_running")
        .union(users.values_list("user__username", "user_id", "max_gpus", "max_running"), all=True)
    )


WITH_A_LIMIT = Prepared(rows_with_a_limit)


def used_now() -> Usage:
    """What all runs of the queue hold, in one query."""
    usage = Usage()
    held = Run.objects.queued().active().filter(task__is_demo=False).order_by()
    for queue, user_id, gpus in held.values_list("task__queue", "owner_id", "gpus"):
        usage.add(queue, user_id, gpus)
    return usage
