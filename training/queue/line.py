"""Places in the line of waiting tasks."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from training.models import Queue, Task, TaskStatus
from training.models.task import UNENDED
from training.models.turn import turn_of

# What tells whether a task stands in line, and where.
LINE_COLUMNS = ("id", "status", "turn", "pending_runs", "unmet", "not_before")
Row = Mapping[str, Any]


def places_in_line(rows: Iterable[Row]) -> dict[int, int]:
    """Id -> place among all tasks that may be placed now; 1 is next. Tasks that stand in no line are left out.

    `rows` have LINE_COLUMNS. The database counts what is ahead of the first, and the line is read only from the
    first to the last of them: neighbours in the line, as one page of a list mostly is, cost two queries and the
    same however long the line; a single task costs one.
    """
    wanted = sorted(filter(_is_in_line, rows), key=lambda row: (row["turn"], row["id"]))
    if not wanted:
        return {}
    line, ahead_of_first = Task.objects.placeable(), _ahead_of(wanted[0])
    ids = [row["id"] for row in wanted]
    if len(ids) > 1:
        ids = [*line.filter(~ahead_of_first, _ahead_of(wanted[-1])).values_list("pk", flat=True), ids[-1]]
    places = {pk: place for place, pk in enumerate(ids, start=line.filter(ahead_of_first).order_by().count() + 1)}
    return {row["id"]: places[row["id"]] for row in wanted if row["id"] in places}


def renew_turns(queue: Queue | None = None) -> int:
    """Compute the turns of tasks anew, of one queue or, as a new AGEING_S needs, of all; how many were different."""
    unended = Task.objects.filter(status__in=UNENDED).select_for_update(no_key=True)
    wrong = []
    with transaction.atomic():
        for task in unended.filter(queue=queue.name) if queue else unended:
            points, turn = queue.priority if queue else task.queue_priority, task.turn
            task.queue_priority, task.turn = points, turn_of(task.queued_at, task.priority + points)
            if task.turn != turn:
                wrong.append(task)
        Task.objects.bulk_update(wrong, ["queue_priority", "turn"], batch_size=1000)
    return len(wrong)


def _is_in_line(row: Row) -> bool:
    is_due = row["not_before"] is None or row["not_before"] <= timezone.now()
    is_placeable = row["status"] == TaskStatus.WAITING and row["pending_runs"] > 0 and row["unmet"] == 0
    return is_placeable and is_due


def _ahead_of(row: Row) -> Q:
    """Tasks whose turn comes before this one, in the order of `placeable()`."""
    return Q(turn__lt=row["turn"]) | Q(turn=row["turn"], pk__lt=row["id"])
