"""J1: which jobs a request asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from django.db.models import F, Q, QuerySet, Value

from mlserver.api.reading import Row
from mlserver.errors import shown
from mlserver.prepared import Prepared, RowCount, Slice
from training.api.jobs.job_json import COLUMNS, with_run_status
from training.api.jobs.statuses import needs_run, tasks_with, word_of
from training.models import Task
from training.queue.spec import Refused, checked, text, whole

KEYWORD_LOOKUPS = {"name": ("name__icontains", "job_id__icontains"), "queueName": ("queue__icontains",)}
LOOKUPS = {"owner": ("owner__username",), "queue": ("queue",), "resourcePoolId": ("pool",)}
# Jobs are numbered in the order they were created.
ORDER_COLUMNS = {"createdAt": "pk", "finishedAt": "ended_at"}


def one_of(*words: str) -> Any:
    def check(value: object) -> str:
        if value not in words:
            raise Refused(f"{shown(value)} must be one of {', '.join(words)}")
        return str(value)

    return check


RULES = {
    "keyword": text(200), "keywordType": one_of(*KEYWORD_LOOKUPS), "status": text(40), "owner": text(150),
    "queue": text(64), "resourcePoolId": text(64), "orderBy": one_of(*ORDER_COLUMNS), "order": one_of("asc", "desc"),
    "pageNumber": whole(1, 10**9), "pageSize": whole(1, 1000),
}  # fmt: skip
QUEUE_NAMES = ("queueID", "queueId")
# How many statements are kept: one for each choice of filters and order.
MOST_SHAPES = 128


class Shape(NamedTuple):
    """What makes the statements of one request others than those of the next; the values of `lookups` come later."""

    lookups: tuple[tuple[str, ...], ...]
    """For each value those of which one must find it."""
    status: str
    order_by: str
    is_ascending: bool


@dataclass(frozen=True)
class JobQuery:
    shape: Shape
    values: tuple[str, ...]
    start: int
    size: int

    @classmethod
    def of(cls, body: Mapping[str, Any], query: Mapping[str, str]) -> "JobQuery":
        """`queueID`, `queueId` and `resourcePoolId` may stand in the query, too. Raises Invalid."""
        said = {name: value for name, value in {**from_query(query), **body}.items() if value not in (None, "")}
        for name in QUEUE_NAMES:
            said.setdefault("queue", said[name]) if name in said else None
        clean = checked(said, RULES)
        lookups = {"keyword": KEYWORD_LOOKUPS[clean.get("keywordType", "name")], **LOOKUPS}
        names = [name for name in lookups if name in clean]
        shape = Shape(
            tuple(lookups[name] for name in names),
            word_of(clean["status"]) if "status" in clean else "",
            clean.get("orderBy", "createdAt"),
            clean.get("order") == "asc",
        )
        size = clean.get("pageSize", 10)
        return cls(shape, tuple(clean[name] for name in names), (clean.get("pageNumber", 1) - 1) * size, size)

    def page(self) -> list[Row]:
        """Of COLUMNS."""
        return page_of(self.shape).dicts(self.start, self.size, *self.values)

    def count(self) -> int:
        """Of all pages together."""
        [(count,)] = count_of(self.shape).rows(*self.values)
        return int(count)


def from_query(query: Mapping[str, str]) -> dict[str, str]:
    return {name: query[name] for name in (*QUEUE_NAMES, "resourcePoolId") if name in query}


@lru_cache(MOST_SHAPES)
def page_of(shape: Shape) -> Prepared[Task]:
    """Chosen by their keys first: sorting must not compute the status of runs for every task there is."""

    def build(start: Value, size: Value, *values: Value) -> "QuerySet[Task, Row]":
        keys = in_order(filtered(shape, values), shape).values("pk")
        tasks = in_order(Task.objects.filter(pk__in=Slice(keys, start, size)), shape)
        rows: QuerySet[Task, Row] = with_run_status(tasks).values(*COLUMNS)
        return rows

    return Prepared(build)


@lru_cache(MOST_SHAPES)
def count_of(shape: Shape) -> Prepared[Task]:
    return Prepared(lambda *values: filtered(shape, values).order_by().values_list(RowCount()))


def filtered(shape: Shape, values: Sequence[Value]) -> "QuerySet[Task]":
    tasks: QuerySet[Task] = Task.objects.visible()
    if shape.status:
        tasks = (with_run_status(tasks) if needs_run(shape.status) else tasks).filter(tasks_with(shape.status))
    for lookups, value in zip(shape.lookups, values, strict=True):
        tasks = tasks.filter(Q(*((lookup, value) for lookup in lookups), _connector=Q.OR))
    return tasks


def in_order(tasks: "QuerySet[Task]", shape: Shape) -> "QuerySet[Task]":
    column, plain = ORDER_COLUMNS[shape.order_by], "pk" if shape.is_ascending else "-pk"
    if column == "pk":
        return tasks.order_by(plain)
    first = F(column).asc(nulls_last=True) if shape.is_ascending else F(column).desc(nulls_last=True)
    return tasks.order_by(first, plain)
