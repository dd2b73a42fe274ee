"""R18, R19: runs by any filter, order and page; one of them with what belongs to it."""

import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from django.db.models import Max, Min, Sum
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers as s
from rest_framework.request import Request

from mlserver.api.parsing import query_flag, query_int
from mlserver.api.reading import Row
from mlserver.api.rendering import json_response
from mlserver.api.runicorn_view import RunicornView
from mlserver.api.schema import text_parameter, whole_parameter
from mlserver.errors import Invalid, shown
from mlserver.prepared import Prepared
from training.api.runicorn.lookup import find_run
from training.api.runicorn.queries import Query, number, statuses, tags, word
from training.api.runicorn.run_json import DELETED_AT, DETAILS, artifact_counts, columns_of, render_details
from training.api.runicorn.schemas import TAGS, Described, ExperimentItem
from training.models import MetricChunk, Run, RunEnvironment, Series
from training.models.run import RUN_ID
from training.run_query import ORDERS, RunQuery

PER_PAGE, MOST_PER_PAGE, MOST_PAGES = 50, 1000, 2**31
MOST_FILES = 10_000
EXPERIMENT = text_parameter("id", "of a run that is not deleted", pattern=RUN_ID.pattern)
FLAG = {"type": "boolean"}
PARAMETERS = [
    OpenApiParameter("project", str, description="exactly this one"),
    OpenApiParameter("name", str, description="exactly this one"),
    OpenApiParameter("status", str, description="one or several of running, finished, failed, interrupted, by commas"),
    OpenApiParameter("tags", str, description="separated by commas; a run must have all of them"),
    OpenApiParameter("search", str, description="part of project, name, notes or id, in any case"),
    OpenApiParameter("created_after", float, description="seconds since 1970, included"),
    OpenApiParameter("created_before", float, description="seconds since 1970, included"),
    OpenApiParameter("best_metric_min", float, description="included; runs without a value are left out"),
    OpenApiParameter("best_metric_max", float, description="included; runs without a value are left out"),
    OpenApiParameter("include_deleted", {**FLAG, "default": False}, description="the recycle bin, too"),
    whole_parameter("page", "from 1", default=1, at_least=1, at_most=MOST_PAGES),
    whole_parameter("per_page", "runs of a page", default=PER_PAGE, at_least=1, at_most=MOST_PER_PAGE),
    OpenApiParameter("order_by", str, enum=list(ORDERS), default="created_at"),
    OpenApiParameter("order_desc", {**FLAG, "default": True}, description="runs without a value come last either way"),
]


class ExperimentPage(s.Serializer[Described]):
    experiments = ExperimentItem(many=True)
    total = s.IntegerField(help_text="runs on all pages")
    page = s.IntegerField()
    per_page = s.IntegerField()
    has_next = s.BooleanField()
    has_prev = s.BooleanField()
    query_time_ms = s.FloatField()


class StepBounds(s.Serializer[Described]):
    min = s.IntegerField()
    max = s.IntegerField()


class MetricsSummary(s.Serializer[Described]):
    total_data_points = s.IntegerField()
    available_metrics = s.ListField(child=s.CharField())
    step_range = StepBounds(allow_null=True)


class ExperimentAnswer(s.Serializer[Described]):
    experiment = ExperimentItem()
    metrics_summary = MetricsSummary()
    environment_available = s.BooleanField()
    file_count = s.IntegerField(help_text=f"files in its directory, at most {MOST_FILES} are counted")


class ExperimentQuery(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_v2_experiments",
        summary="Find runs by filters, page by page",
        description="All filters must hold. A page after the last one is empty.",
        parameters=PARAMETERS,
        responses=ExperimentPage,
    )
    def get(self, request: Request) -> HttpResponse:
        """R18."""
        started, query = time.perf_counter(), request.query_params
        number = query_int(query, "page", default=1, at_least=1, at_most=MOST_PAGES)
        size = query_int(query, "per_page", default=PER_PAGE, at_least=1, at_most=MOST_PER_PAGE)
        order_by, descending = order_of(query), query_flag(query, "order_desc", default=True)
        ids, total = query_of(query).page(number=number, size=size, order_by=order_by, descending=descending)
        found = {item["id"]: item for item in items_of(ids)}
        return json_response(
            {
                "experiments": [found[run_id] for run_id in ids if run_id in found],
                "total": total,
                "page": number,
                "per_page": size,
                "has_next": number * size < total,
                "has_prev": number > 1,
                "query_time_ms": (time.perf_counter() - started) * 1000,
            }
        )


class ExperimentDetail(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_v2_experiment",
        summary="Read one run with a summary of its metrics and files",
        parameters=[EXPERIMENT],
        responses=ExperimentAnswer,
    )
    def get(self, request: Request, id: str) -> HttpResponse:
        """R19."""
        run = find_run(id, "pk")
        item = items_of([run.pk])[0]
        return json_response(
            {
                "experiment": item,
                "metrics_summary": metrics_summary(run.pk),
                "environment_available": RunEnvironment.objects.filter(run=run).exists(),
                "file_count": sum(1 for _ in files_in(Path(item["run_dir"]))),
            }
        )


BY_IDS = Prepared(lambda *ids: columns_of(Run.objects.filter(pk__in=ids).order_by(), *DETAILS, DELETED_AT))


def query_of(query: Query) -> RunQuery:
    return RunQuery(
        project=word(query, "project"),
        name=word(query, "name"),
        statuses=statuses(query),
        tags=tags(query),
        text=word(query, "search"),
        created_after=number(query, "created_after"),
        created_before=number(query, "created_before"),
        best_metric_min=number(query, "best_metric_min"),
        best_metric_max=number(query, "best_metric_max"),
        include_deleted=query_flag(query, "include_deleted"),
    )


def order_of(query: Query) -> str:
    order_by = query.get("order_by", "created_at")
    if order_by not in ORDERS:
        raise Invalid.field("order_by", f"{shown(order_by)} must be one of {', '.join(ORDERS)}")
    return order_by


def items_of(ids: list[str]) -> list[Row]:
    """In any order."""
    rows = BY_IDS.rows(*ids) if ids else []
    found = render_details(rows, artifact_counts(rows))
    for item, row in zip(found, rows, strict=True):
        item["deleted_at"] = row[-1]
    return found


def metrics_summary(run_id: str) -> Row:
    series = Series.objects.filter(run=run_id)
    chunks = MetricChunk.objects.filter(group__run=run_id, group__stream="")
    bounds: Row = chunks.aggregate(min=Min("first_step"), max=Max("last_step"))
    return {
        "total_data_points": series.aggregate(sum=Sum("count"))["sum"] or 0,
        "available_metrics": list(series.order_by("name").values_list("name", flat=True)),
        "step_range": None if bounds["min"] is None else bounds,
    }


def files_in(directory: Path, at_most: int = MOST_FILES) -> Iterator[str]:
    """Their paths, from no more directories than that; links are not followed."""
    left = at_most
    if directory.is_symlink():
        return
    for folder, _, names in islice(os.walk(directory), at_most):
        for name in names[:left]:
            yield f"{folder}/{name}"
        left -= min(len(names), left)
        if not left:
            return
