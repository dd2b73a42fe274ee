"""One question about runs: which of them, in what order, which page."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from django.db.models import Expression, F, OrderBy

from training.models import Run
from training.models.end_rank import EndRank
from training.models.run import RunQuerySet

ORDERS: dict[str, Expression | F] = {
    "created_at": F("created_at"),
    "updated_at": F("updated_at"),
    "best_metric_value": F("best_metric_value"),
    "status": EndRank("status"),
}
MAY_BE_NULL = {"best_metric_value"}


class Page(NamedTuple):
    """`ids` in their order; `total` of all pages."""

    ids: list[str]
    total: int


@dataclass(frozen=True, kw_only=True)
class RunQuery:
    """What is empty or None is not asked for. Bounds are included; instants are seconds since 1970."""

    project: str = ""
    name: str = ""
    statuses: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    text: str = ""
    created_after: float | None = None
    created_before: float | None = None
    best_metric_min: float | None = None
    best_metric_max: float | None = None
    include_deleted: bool = False

    def runs(self) -> RunQuerySet:
        runs = Run.objects.all() if self.include_deleted else Run.objects.visible()
        if self.name:
            runs = runs.named(self.name)
        for tag in self.tags:
            runs = runs.tagged(tag)
        if self.text:
            runs = runs.mentioning(self.text)
        asked = {
            "project": self.project or None,
            "status__in": self.statuses or None,
            "created_at__gte": instant(self.created_after),
            "created_at__lte": instant(self.created_before),
            "best_metric_value__gte": self.best_metric_min,
            "best_metric_value__lte": self.best_metric_max,
        }
        return runs.filter(**{name: value for name, value in asked.items() if value is not None})

    def page(self, *, number: int, size: int, order_by: str, descending: bool) -> Page:
        """Ids alone are ordered and skipped, from an index without the rows; the total counts all pages."""
        runs, start = self.runs(), (number - 1) * size
        ids = list(runs.order_by(*ordering(order_by, descending)).values_list("pk", flat=True)[start : start + size])
        is_last = len(ids) < size and (ids or number == 1)
        return Page(ids, start + len(ids) if is_last else runs.count())


def ordering(order_by: str, descending: bool) -> tuple[OrderBy, OrderBy]:
    """By id where equal; runs without a value come last in both directions."""
    last = True if order_by in MAY_BE_NULL else None
    by = OrderBy(ORDERS[order_by], descending=descending, nulls_last=last)
    return by, OrderBy(F("pk"), descending=descending)


def instant(epoch_s: float | None) -> datetime | None:
    """What is before or after all time is the first or the last of it."""
    if epoch_s is None:
        return None
    try:
        return datetime.fromtimestamp(epoch_s, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC) if epoch_s > 0 else datetime.min.replace(tzinfo=UTC)
