"""Totals over runs that are not deleted, computed by the database."""

from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import Avg, Count, F, Max, Min, Q, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from mlserver.instants import EpochSeconds
from training.models import Run, RunStatus, Series
from training.models.run import ACTIVE, ENDED, RunQuerySet

Totals = dict[str, Any]
DAY, WEEK = timedelta(days=1), timedelta(days=7)
DURATION_S = Avg(EpochSeconds("ended_at") - EpochSeconds("started_at"))
COUNTS = {status: Count("pk", filter=Q(status=status)) for status in RunStatus.values}


def totals(runs: RunQuerySet) -> Totals:
    """Counts by our statuses and in all; instants in seconds since 1970, None without any run."""
    now = timezone.now()
    return runs.aggregate(
        **COUNTS,
        total=Count("pk"),
        projects=Count("project", distinct=True),
        last_day=Count("pk", filter=Q(created_at__gte=now - DAY)),
        last_week=Count("pk", filter=Q(created_at__gte=now - WEEK)),
        duration_s=DURATION_S,
        first_created_at=EpochSeconds(Min("created_at")),
        last_updated_at=EpochSeconds(Max("updated_at")),
    )


def metric_points() -> int:
    """Of all runs that are not deleted."""
    return Series.objects.filter(run__deleted_at=None).aggregate(sum=Sum("count"))["sum"] or 0


def projects(runs: RunQuerySet) -> list[Totals]:
    """As `totals`, of each project, the one that changed last first."""
    grouped = runs.order_by().values("project")
    rows = grouped.annotate(
        **COUNTS,
        total=Count("pk"),
        names=Count("name", distinct=True),
        duration_s=DURATION_S,
        first_created_at=EpochSeconds(Min("created_at")),
        last_updated_at=EpochSeconds(Max("updated_at")),
    )
    return [{**row} for row in rows.order_by("-last_updated_at", "project")]


def trends(runs: RunQuerySet, *, days: int) -> list[Totals]:
    """Best metrics of runs by the metric's name and the day, in UTC, that they were made; the oldest day first."""
    recent = runs.filter(created_at__gte=timezone.now() - timedelta(days=days), best_metric_value__isnull=False)
    rows = recent.order_by().values(metric=F("best_metric_name"), day=TruncDate("created_at"))
    value = "best_metric_value"
    rows = rows.annotate(count=Count("pk"), mean=Avg(value), min=Min(value), max=Max(value))
    return [{**row} for row in rows.order_by("metric", "day")]


def success_rate(row: Totals) -> float | None:
    """Of the runs that have ended; None before the first has."""
    ended = sum(row[status] for status in ENDED)
    return row[RunStatus.FINISHED] / ended if ended else None


def health() -> Totals:
    """What may need somebody's attention."""
    now = timezone.now()
    failed = Q(status=RunStatus.FAILED, ended_at__gte=now - DAY)
    found = Run.objects.aggregate(
        total=Count("pk", filter=Q(deleted_at=None)),
        deleted=Count("pk", filter=Q(deleted_at__isnull=False)),
        active=Count("pk", filter=Q(status__in=ACTIVE, deleted_at=None)),
        stale=Count("pk", filter=Q(status__in=ACTIVE, deleted_at=None, is_stale=True)),
        failed_last_day=Count("pk", filter=failed & Q(deleted_at=None)),
    )
    return {**found, "database": connection.vendor, "database_bytes": database_bytes()}


def database_bytes() -> int:
    """On disk, without SQLite's log of changes."""
    asked = {
        "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        "postgresql": "SELECT pg_database_size(current_database())",
    }
    with connection.cursor() as cursor:
        cursor.execute(asked[connection.vendor])
        return int(cursor.fetchone()[0])
