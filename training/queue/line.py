"""Places in the line of waiting tasks."""

from collections.abc import Collection
from datetime import datetime

from django.db.models import Q

from training.models import Task


def places_in_line(task_ids: Collection[int]) -> dict[int, int]:
    """Place of each of these tasks among all that may be placed now; 1 is next. Others are left out.

    Counts in the database what is ahead of the first, and reads the line only from the first to the last of them:
    neighbours in the line, as one page of a list mostly is, cost the same however long the line.
    """
    line = Task.objects.placeable()
    wanted = list(line.filter(pk__in=task_ids).values_list("priority", "queued_at", "pk")) if task_ids else []
    if not wanted:
        return {}
    before_first, before_last = (_ahead_of(*wanted[place]) for place in (0, -1))
    ahead = line.filter(before_first).order_by().count()
    between = line.filter(~before_first, before_last).values_list("pk", flat=True) if len(wanted) > 1 else ()
    places = {pk: place for place, pk in enumerate((*between, wanted[-1][2]), start=ahead + 1)}
    return {pk: places[pk] for _, _, pk in wanted}


def _ahead_of(priority: int, queued_at: datetime, pk: int) -> Q:
    """Tasks whose turn comes before a task with this key, in the order of `placeable()`."""
    older = Q(queued_at__lt=queued_at) | Q(queued_at=queued_at, pk__lt=pk)
    return Q(priority__gt=priority) | Q(priority=priority) & older
