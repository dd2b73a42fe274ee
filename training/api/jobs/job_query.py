"""J1: which jobs a request asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Q, QuerySet

from mlserver.errors import shown
from training.api.jobs.job_json import with_run_status
from training.api.jobs.statuses import needs_run, tasks_with, word_of
from training.models import Task
from training.queue.spec import Refused, checked, text, whole

KEYWORD_FIELDS = {"name": ("name", "job_id"), "queueName": ("queue",)}
# Jobs are numbered in the order they were created.
ORDER_COLUMNS = {"createdAt": "pk", "finishedAt": "ended_at"}


def one_of(*words: str) -> Any:
    def check(value: object) -> str:
        if value not in words:
            raise Refused(f"{shown(value)} must be one of {', '.join(words)}")
        return str(value)

    return check


RULES = {
    "keyword": text(200), "keywordType": one_of(*KEYWORD_FIELDS), "status": text(40), "owner": text(150),
    "queue": text(64), "resourcePoolId": text(64), "orderBy": one_of(*ORDER_COLUMNS), "order": one_of("asc", "desc"),
    "pageNumber": whole(1, 10**9), "pageSize": whole(1, 1000),
}  # fmt: skip
QUEUE_NAMES = ("queueID", "queueId")


@dataclass(frozen=True)
class JobQuery:
    tasks: "QuerySet[Task]"
    order: tuple[Any, ...]
    page: int
    size: int

    @classmethod
    def of(cls, body: Mapping[str, Any], query: Mapping[str, str]) -> "JobQuery":
        """`queueID`, `queueId` and `resourcePoolId` may stand in the query, too. Raises Invalid."""
        said = {name: value for name, value in {**from_query(query), **body}.items() if value not in (None, "")}
        for name in QUEUE_NAMES:
            said.setdefault("queue", said[name]) if name in said else None
        clean = checked(said, RULES)
        column = ORDER_COLUMNS[clean.get("orderBy", "createdAt")]
        is_ascending = clean.get("order", "desc") == "asc"
        first = F(column).asc(nulls_last=True) if is_ascending else F(column).desc(nulls_last=True)
        plain = "pk" if is_ascending else "-pk"
        order = (plain,) if column == "pk" else (first, plain)
        return cls(filtered(clean), order, clean.get("pageNumber", 1), clean.get("pageSize", 10))

    def page_of_tasks(self) -> "QuerySet[Task]":
        """Chosen by their keys first: sorting must not compute the status of runs for every task there is."""
        start = (self.page - 1) * self.size
        keys = self.tasks.order_by(*self.order).values("pk")[start : start + self.size]
        return Task.objects.filter(pk__in=keys).order_by(*self.order)


def from_query(query: Mapping[str, str]) -> dict[str, str]:
    return {name: query[name] for name in (*QUEUE_NAMES, "resourcePoolId") if name in query}


def filtered(clean: Mapping[str, Any]) -> "QuerySet[Task]":
    tasks: QuerySet[Task] = Task.objects.visible()
    if "keyword" in clean:
        fields = KEYWORD_FIELDS[clean.get("keywordType", "name")]
        wanted = Q()
        for field in fields:
            wanted |= Q(**{f"{field}__icontains": clean["keyword"]})
        tasks = tasks.filter(wanted)
    if "status" in clean:
        word = word_of(clean["status"])
        tasks = (with_run_status(tasks) if needs_run(word) else tasks).filter(tasks_with(word))
    for name, column in (("owner", "owner__username"), ("queue", "queue"), ("resourcePoolId", "pool")):
        if name in clean:
            tasks = tasks.filter(**{column: clean[name]})
    return tasks
