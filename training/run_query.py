"""One question about runs: which of them, in what order, which page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from django.db.models import Expression, F, Func, OrderBy, Q

from mlserver.prepared import Prepared, RowCount
from training.models import Run
from training.models.end_rank import EndRank
from training.models.mentions import mentions
from training.models.run import RunQuerySet, names_of

ORDERS: dict[str, Expression | F] = {
    "created_at": F("created_at"),
    "updated_at": F("updated_at"),
    "best_metric_value": F("best_metric_value"),
    "status": EndRank("status"),
}
MAY_BE_NULL = {"best_metric_value"}
TAG = "tag"


class OtherRows(RowCount):
    """How many runs are not those of the query: databases know how many there are, but would count nearly all."""

    template = f"(SELECT COUNT(*) FROM {Run._meta.db_table}) - COUNT(*)"


class Page(NamedTuple):
    """`ids` in their order; `total` of all pages."""

    ids: list[str]
    total: int


class Part(NamedTuple):
    """Which rows of what is found."""

    order_by: str
    descending: bool
    start: int
    size: int


class Shape(NamedTuple):
    """What of a question is part of its statements; the values of `conditions` are not, but how many each has."""

    include_deleted: bool
    mention: Func | Q | None
    conditions: tuple[tuple[str, int], ...]

    @property
    def is_everything(self) -> bool:
        """All runs that are not in the recycle bin."""
        return not (self.include_deleted or self.mention or self.conditions)

    def runs(self, values: Sequence[Any]) -> RunQuerySet:
        """In no order."""
        runs = (Run.objects.all() if self.include_deleted else Run.objects.visible()).order_by()
        runs, left = runs.filter(self.mention) if self.mention else runs, iter(values)
        for lookup, count in self.conditions:
            mine = [next(left) for _ in range(count)]
            if lookup == TAG:
                runs = runs.tagged(mine[0])
            else:
                runs = runs.filter(**{lookup: mine if lookup.endswith("__in") else mine[0]})
        return runs


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

    def conditions(self) -> list[tuple[str, list[Any]]]:
        """Lookups and their values."""
        asked: list[tuple[str, list[Any]]] = [
            ("name__in", names_of(self.name)),
            *((TAG, [tag]) for tag in self.tags),
            ("project", [self.project]),
            ("status__in", self.statuses),
            ("created_at__gte", [instant(self.created_after)]),
            ("created_at__lte", [instant(self.created_before)]),
            ("best_metric_value__gte", [self.best_metric_min]),
            ("best_metric_value__lte", [self.best_metric_max]),
        ]
        return [(lookup, values) for lookup, values in asked if values and values[-1] not in ("", None)]

    def page(self, *, number: int, size: int, order_by: str, descending: bool) -> Page:
        """Ids alone are ordered and skipped, from an index without the rows; the total counts all pages."""
        conditions, start = self.conditions(), (number - 1) * size
        values = [value for _, mine in conditions for value in mine]
        mention = mentions(self.text) if self.text else None
        shape = Shape(self.include_deleted, mention, tuple((lookup, len(mine)) for lookup, mine in conditions))
        ids = [pk for (pk,) in ids_of(shape, Part(order_by, descending, start, size)).rows(*values)]
        is_last = len(ids) < size and (ids or number == 1)
        return Page(ids, start + len(ids) if is_last else count_of(shape).rows(*values)[0][0])


@lru_cache(maxsize=256)
def ids_of(shape: Shape, part: Part) -> Prepared[Run]:
    order, end = ordering(part.order_by, part.descending), part.start + part.size
    return Prepared(lambda *marks: shape.runs(marks).order_by(*order).values_list("pk")[part.start : end])


@lru_cache(maxsize=256)
def count_of(shape: Shape) -> Prepared[Run]:
    if shape.is_everything:
        return Prepared(lambda: Run.objects.deleted().order_by().values_list(OtherRows()))
    return Prepared(lambda *marks: shape.runs(marks).values_list(RowCount()))


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
