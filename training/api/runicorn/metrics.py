"""R7, R8, R9, R20, R50: what a run logged, and how the cache of it fares."""

import time
from itertools import chain

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers as s
from rest_framework.request import Request

from mlserver.api.parsing import query_int
from mlserver.api.reading import Row
from mlserver.api.rendering import json_response, to_json
from mlserver.api.runicorn_view import RunicornView
from mlserver.api.schema import text_parameter
from mlserver.api.text_answers import text_answer
from mlserver.errors import Invalid, shown
from training.api.runicorn.lookup import find_run
from training.api.runicorn.metric_rows import SHORT_CELLS, STEP, Shown, answer, by_step, by_time, of_names
from training.api.runicorn.schemas import RUN, TAGS, Point
from training.api.runicorn.series import series_text
from training.models.run import RUN_ID
from training.tracking import metrics
from training.tracking.metrics.groups import StepRange

LEAST_POINTS, MOST_POINTS = 100, 50_000
LOWEST, HIGHEST = -(2**63), 2**63 - 1
EXPERIMENT = text_parameter("id", "of the run", pattern=RUN_ID.pattern)
ROW_HEADERS = {
    "X-Row-Count": "rows in this answer",
    "X-Total-Count": "rows before sampling",
    "X-Last-Step": "global_step of the last row; absent without rows",
}


def downsample_parameter(at_least: int) -> OpenApiParameter:
    rule = {"type": "integer", "minimum": at_least, "maximum": MOST_POINTS}
    return OpenApiParameter("downsample", rule, description="of more rows than these, those that show every column")


class MetricRowsAnswer(s.Serializer[Row]):
    columns = s.ListField(child=s.CharField())
    rows = s.ListField(
        child=s.DictField(child=s.JSONField()),
        help_text="each with every column; null: not logged, or no finite number",
    )
    total = s.IntegerField(help_text="rows before sampling")
    sampled = s.IntegerField(help_text="rows in this answer")


class AppliedFilters(s.Serializer[Row]):
    metrics = s.ListField(child=s.CharField(), allow_null=True)
    step_range = s.ListField(child=s.IntegerField(), min_length=2, max_length=2, allow_null=True)
    downsampled = s.BooleanField(help_text="rows were left out")


class FastMetricsAnswer(s.Serializer[Row]):
    columns = s.ListField(child=s.CharField())
    rows = s.ListField(child=s.DictField(child=s.JSONField()))
    query_time_ms = s.FloatField()
    total_points = s.IntegerField(help_text="rows in this answer")
    applied_filters = AppliedFilters()


class SeriesAnswer(s.Serializer[Row]):
    run_id = s.CharField()
    metrics = s.DictField(child=Point(many=True))


class CacheAnswer(s.Serializer[Row]):
    size = s.IntegerField(help_text="runs that are kept")
    max_size = s.IntegerField()
    hits = s.IntegerField(help_text="nothing new was logged, so nothing was read")
    misses = s.IntegerField(help_text="all was read")
    incremental_updates = s.IntegerField(help_text="only what is new was read")
    hit_rate = s.FloatField(help_text="0 to 1, of all three")
    incremental_rate = s.FloatField(help_text="0 to 1, of all three")


class StepMetrics(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="run_metrics_by_step",
        summary="Metrics over steps",
        description="One row per step, ascending; of the same step each column has what was logged last.",
        parameters=[RUN, downsample_parameter(LEAST_POINTS)],
        responses=OpenApiResponse(MetricRowsAnswer, description=f"Headers: {ROW_HEADERS}"),
    )
    def get(self, request: Request, run_id: str) -> HttpResponseBase:
        """R8."""
        points = points_of(request, LEAST_POINTS)
        return described(by_step(metrics.open_rows(find_run(run_id, "pk")), points))


class TimeMetrics(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="run_metrics_by_time",
        summary="Metrics over time",
        description="As over steps, in the order of time; `time` is seconds since the first row.",
        parameters=[RUN, downsample_parameter(LEAST_POINTS)],
        responses=OpenApiResponse(MetricRowsAnswer, description=f"Headers: {ROW_HEADERS}"),
    )
    def get(self, request: Request, run_id: str) -> HttpResponseBase:
        """R7."""
        points = points_of(request, LEAST_POINTS)
        return described(by_time(metrics.open_rows(find_run(run_id, "pk")), points))


class FastMetrics(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="experiment_metrics_fast",
        summary="Some metrics of some steps",
        parameters=[
            EXPERIMENT,
            OpenApiParameter("metric_names", str, description="separated by commas; unknown ones are null"),
            OpenApiParameter("step_range", str, description="`min:max`, both included"),
            downsample_parameter(2),
        ],
        responses=FastMetricsAnswer,
    )
    def get(self, request: Request, id: str) -> HttpResponseBase:
        """R20."""
        started = time.perf_counter()
        points, steps, names = points_of(request, 2), steps_of(request), names_of(request, "metric_names")
        run = find_run(id, "pk")
        if names is None:
            chosen = by_step(metrics.open_rows(run, step_range=steps), points)
        else:
            chosen = of_names(metrics.open_rows(run, [name for name in names if name != STEP], steps), points)
        about = {
            "query_time_ms": (time.perf_counter() - started) * 1000,
            "total_points": len(chosen),
            "applied_filters": {"metrics": names, "step_range": steps, "downsampled": len(chosen) < chosen.total},
        }
        return answer(chosen, {"columns": chosen.columns}, about)


class NamedSeries(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="metrics_as_series",
        summary="Numbers of a run, by metric",
        description="Recorded finite numbers only, by ascending step. Names that are asked for are all there.",
        parameters=[
            RUN,
            OpenApiParameter("metrics", str, description="names separated by commas; default: every one"),
            OpenApiParameter(
                "limit", {"type": "integer", "minimum": 1}, description="the last so many of each metric; default: all"
            ),
        ],
        responses=SeriesAnswer,
    )
    def get(self, request: Request, run_id: str) -> HttpResponseBase:
        """R50."""
        limit = query_int(request.query_params, "limit", default=0, at_least=1, at_most=HIGHEST)
        names = names_of(request, "metrics")
        run = find_run(run_id, "pk")
        rows = metrics.open_rows(run, names)
        text = series_text(rows, limit or None, is_asked=names is not None)
        pieces = chain([b'{"run_id":' + to_json(run.pk) + b',"metrics":'], text, [b"}"])
        return text_answer(pieces, "application/json", is_short=len(rows.steps) * len(rows.names) <= SHORT_CELLS)


class CacheStatistics(RunicornView):
    @extend_schema(tags=TAGS, summary="Counters of the metrics cache", responses=CacheAnswer)
    def get(self, request: Request) -> HttpResponse:
        """R9."""
        seen = metrics.cache.statistics()
        return json_response(
            {
                "size": seen.size,
                "max_size": seen.max_size,
                "hits": seen.hits,
                "misses": seen.misses,
                "incremental_updates": seen.incremental,
                "hit_rate": seen.hit_rate,
                "incremental_rate": seen.incremental_rate,
            }
        )


def described(chosen: Shown) -> HttpResponseBase:
    """R7 and R8: the rows, counted in body and headers."""
    counts = {"total": chosen.total, "sampled": len(chosen)}
    response = answer(chosen, {"columns": chosen.columns}, counts)
    response.headers["X-Row-Count"] = str(len(chosen))
    response.headers["X-Total-Count"] = str(chosen.total)
    if chosen.last_step is not None:
        response.headers["X-Last-Step"] = str(chosen.last_step)
    return response


def points_of(request: Request, at_least: int) -> int | None:
    if "downsample" not in request.query_params:
        return None
    return query_int(request.query_params, "downsample", default=0, at_least=at_least, at_most=MOST_POINTS)


def names_of(request: Request, parameter: str) -> list[str] | None:
    """Names separated by commas, each once; None without any."""
    words = (word.strip() for word in request.query_params.get(parameter, "").split(","))
    return list(dict.fromkeys(word for word in words if word)) or None


def steps_of(request: Request) -> StepRange | None:
    text = request.query_params.get("step_range")
    if text is None:
        return None
    ends = text.split(":")
    if len(ends) == 2 and all(is_step(end) for end in ends):
        return int(ends[0]), int(ends[1])
    raise Invalid.field("step_range", f"{shown(text)} must be min:max, two whole numbers of 64 bits")


def is_step(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= 19 and LOWEST <= int(text) <= HIGHEST
