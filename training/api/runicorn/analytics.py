"""R91-R95: totals over runs."""

from itertools import groupby

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers as s
from rest_framework.request import Request

from mlserver.api.parsing import query_int
from mlserver.api.reading import Row
from mlserver.api.rendering import json_response
from mlserver.api.runicorn_view import RunicornView
from mlserver.api.schema import whole_parameter
from training import analytics
from training.api.runicorn.queries import word
from training.api.runicorn.run_json import list_runs
from training.api.runicorn.schemas import TAGS, Described, RunItem
from training.api.runicorn.statuses import STATUSES, WORDS
from training.models import Run

DEFAULT_DAYS, MOST_DAYS = 30, 3650
MOST_RECENT = 5
RATE = "of the runs that have ended, 0 to 1; null before the first has"


class ByStatus(s.Serializer[Described]):
    running = s.IntegerField()
    finished = s.IntegerField()
    failed = s.IntegerField()
    interrupted = s.IntegerField()


class RunTotals(s.Serializer[Described]):
    """Times are seconds since 1970. Runs in the recycle bin are not counted."""

    total_experiments = s.IntegerField()
    by_status = ByStatus()
    success_rate = s.FloatField(allow_null=True, help_text=RATE)
    mean_duration_s = s.FloatField(allow_null=True, help_text="of the runs that have ended")
    first_created_at = s.FloatField(allow_null=True)
    last_updated_at = s.FloatField(allow_null=True)


class Overview(RunTotals):
    total_projects = s.IntegerField()
    created_last_24h = s.IntegerField()
    created_last_7d = s.IntegerField()
    total_metric_points = s.IntegerField()
    deleted_experiments = s.IntegerField(help_text="in the recycle bin")


class ProjectTotals(RunTotals):
    project = s.CharField()
    total_names = s.IntegerField(help_text="different names of its runs")


class AllProjects(s.Serializer[Described]):
    projects = ProjectTotals(many=True, help_text="the one that changed last first")


class TrendPoint(s.Serializer[Described]):
    date = s.DateField(help_text="in UTC")
    count = s.IntegerField(help_text="runs made on this day that have a best value")
    mean = s.FloatField()
    min = s.FloatField()
    max = s.FloatField()


class MetricTrend(s.Serializer[Described]):
    metric_name = s.CharField()
    points = TrendPoint(many=True, help_text="the oldest day first; days without runs are left out")


class Trends(s.Serializer[Described]):
    days = s.IntegerField()
    trends = MetricTrend(many=True)


class StoreHealth(s.Serializer[Described]):
    status = s.CharField(help_text="`ok`, or `attention` while runs are stale")
    experiments = s.IntegerField()
    deleted_experiments = s.IntegerField(help_text="in the recycle bin")
    running = s.IntegerField()
    stale = s.IntegerField(help_text="running ones that were not heard of for a while")
    failed_last_24h = s.IntegerField()
    database = s.CharField()
    database_bytes = s.IntegerField()
    checked_at = s.FloatField()


class Summary(s.Serializer[Described]):
    overview = Overview()
    projects = ProjectTotals(many=True, help_text=f"the {MOST_RECENT} that changed last")
    recent_experiments = RunItem(many=True, help_text=f"the {MOST_RECENT} newest")
    health = StoreHealth()


class AnalyticsOverview(RunicornView):
    @extend_schema(
        tags=TAGS, operation_id="runicorn_analytics_overview", summary="Totals over all runs", responses=Overview
    )
    def get(self, request: Request) -> HttpResponse:
        """R91."""
        return json_response(overview())


class AnalyticsProjects(RunicornView):
    @extend_schema(
        tags=TAGS, operation_id="runicorn_analytics_projects", summary="Totals of each project", responses=AllProjects
    )
    def get(self, request: Request) -> HttpResponse:
        """R92."""
        return json_response({"projects": project_totals()})


class AnalyticsTrends(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_analytics_trends",
        summary="Best values of runs day by day",
        description="By the name of the primary metric that runs have set.",
        parameters=[
            OpenApiParameter("project", str, description="exactly this one"),
            OpenApiParameter("metric_name", str, description="exactly this one"),
            whole_parameter("days", "so far back", default=DEFAULT_DAYS, at_least=1, at_most=MOST_DAYS),
        ],
        responses=Trends,
    )
    def get(self, request: Request) -> HttpResponse:
        """R93."""
        days = query_int(request.query_params, "days", default=DEFAULT_DAYS, at_least=1, at_most=MOST_DAYS)
        asked = {"project": "project", "metric_name": "best_metric_name"}
        wanted = {column: it for name, column in asked.items() if (it := word(request.query_params, name))}
        rows = analytics.trends(Run.objects.visible().filter(**wanted), days=days)
        trends = [
            {"metric_name": metric, "points": [trend_point(row) for row in of_metric]}
            for metric, of_metric in groupby(rows, lambda row: row["metric"])
        ]
        return json_response({"days": days, "trends": trends})


class AnalyticsHealth(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_analytics_health",
        summary="State of the store of runs",
        responses=StoreHealth,
    )
    def get(self, request: Request) -> HttpResponse:
        """R94."""
        return json_response(health())


class AnalyticsSummary(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_analytics_summary",
        summary="Totals, projects, the newest runs and health in one",
        responses=Summary,
    )
    def get(self, request: Request) -> HttpResponse:
        """R95."""
        return json_response(
            {
                "overview": overview(),
                "projects": project_totals()[:MOST_RECENT],
                "recent_experiments": list_runs(Run.objects.visible().newest_first()[:MOST_RECENT]),
                "health": health(),
            }
        )


def overview() -> Row:
    row = analytics.totals(Run.objects.visible())
    return {
        **render_totals(row),
        "total_projects": row["projects"],
        "created_last_24h": row["last_day"],
        "created_last_7d": row["last_week"],
        "total_metric_points": analytics.metric_points(),
        "deleted_experiments": Run.objects.deleted().count(),
    }


def project_totals() -> list[Row]:
    return [
        {"project": row["project"], "total_names": row["names"], **render_totals(row)}
        for row in analytics.projects(Run.objects.visible())
    ]


def render_totals(row: Row) -> Row:
    by_status = dict.fromkeys(WORDS, 0)
    for ours, theirs in STATUSES.items():
        by_status[theirs] += row[ours]
    return {
        "total_experiments": row["total"],
        "by_status": by_status,
        "success_rate": analytics.success_rate(row),
        "mean_duration_s": row["duration_s"],
        "first_created_at": row["first_created_at"],
        "last_updated_at": row["last_updated_at"],
    }


def trend_point(row: Row) -> Row:
    return {"date": row["day"], **{name: row[name] for name in ("count", "mean", "min", "max")}}


def health() -> Row:
    found = analytics.health()
    return {
        "status": "attention" if found["stale"] else "ok",
        "experiments": found["total"],
        "deleted_experiments": found["deleted"],
        "running": found["active"],
        "stale": found["stale"],
        "failed_last_24h": found["failed_last_day"],
        "database": found["database"],
        "database_bytes": found["database_bytes"],
        "checked_at": timezone.now().timestamp(),
    }
