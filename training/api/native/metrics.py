"""N7, N11: points of a run, delivered in numbered batches and read as columns for charts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, cast

import numpy as np
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers as s
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.views import APIView

from mlserver.accounts.permissions import require_owner
from mlserver.api.parsing import MAX_BATCH_BYTES, StrictJSONParser, query_int, read_limited
from mlserver.api.rendering import json_response
from mlserver.errors import Invalid, shown
from training.api.native.lookup import told_run, visible_run
from training.api.native.metric_batch import MAX_ROWS, MAX_SEQ, batch_from, batches_from_lines, sequence_number
from training.models import Run
from training.tracking import metrics
from training.tracking.metrics.deliver import deliver
from training.tracking.metrics.table import Table
from training.tracking.system import read_system

LEAST_POINTS, MOST_POINTS, DEFAULT_POINTS = 2, 50_000, 2000
MAX_NAMES = 1000
SYSTEM_PREFIX = "system/"
SMALLEST, LARGEST = -(2**63), 2**63 - 1


class BatchParser(StrictJSONParser):
    max_bytes = MAX_BATCH_BYTES


class LinesParser(BaseParser):
    """Lines of an SDK, as it writes them into its spool; read by the view."""

    media_type = "application/x-ndjson"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Under `lines`."""
        return {"lines": read_limited(stream, MAX_BATCH_BYTES)}


class MetricBatch(s.Serializer[dict[str, object]]):
    seq = s.IntegerField(min_value=0, help_text="0, 1, 2, ...: number of the batch; the same number counts once")
    steps = s.ListField(child=s.IntegerField(), max_length=MAX_ROWS)
    times = s.ListField(child=s.FloatField(), help_text="seconds since 1970; as many as steps")
    values = s.DictField(
        child=s.ListField(child=s.JSONField(allow_null=True)),
        help_text="by name: numbers, strings, booleans or null, as many as steps",
    )
    stage = s.CharField(required=False, help_text="as a column `stage` that says this in each row")


class DeliveryAnswer(s.Serializer[dict[str, object]]):
    accepted = s.IntegerField(help_text="rows")
    next_seq = s.IntegerField(help_text="number of the next batch")
    duplicate = s.BooleanField(help_text="this number was taken in before; nothing was changed")


class MetricsAnswer(s.Serializer[dict[str, object]]):
    steps = s.ListField(child=s.IntegerField())
    times = s.ListField(child=s.FloatField(allow_null=True), help_text="seconds since 1970")
    values = s.DictField(child=s.ListField(child=s.JSONField()), help_text="by name; null: not logged, or no number")
    total = s.IntegerField(help_text="rows before sampling")
    sampled = s.IntegerField(help_text="rows in this answer")


@dataclass(frozen=True)
class MetricsQuery:
    """`names` None: every one. `low` and `high` are steps, or times when `by_time`."""

    names: list[str] | None
    by_time: bool
    is_system: bool
    low: float
    high: float
    points: int

    @classmethod
    def of(cls, request: Request) -> "MetricsQuery":
        """Raises Invalid that names the parameter, the value and the rule."""
        params = request.query_params
        names = [name for text in params.getlist("names") for name in text.split(",") if name]
        if len(names) > MAX_NAMES:
            raise Invalid.field("names", f"{len(names)} names are too many, at most {MAX_NAMES} are taken")
        x = params.get("x", "step")
        if x not in ("step", "time"):
            raise Invalid.field("x", f"{shown(x)} must be one of step, time")
        low, high = range_of(params["range"], float if x == "time" else int) if "range" in params else (None, None)
        return cls(
            names=list(dict.fromkeys(names)) if "names" in params else None,
            by_time=x == "time",
            is_system=asks_for_system(params.get("system"), names),
            low=SMALLEST if low is None else low,
            high=LARGEST if high is None else high,
            points=query_int(params, "points", default=DEFAULT_POINTS, at_least=LEAST_POINTS, at_most=MOST_POINTS),
        )


class RunMetrics(APIView):
    parser_classes = (BatchParser, LinesParser)
    conflicting_actions = ("post",)

    @extend_schema(
        tags=["runs"],
        operation_id="runs_metrics_deliver",
        summary="Deliver a batch of metrics",
        description=f"At most {MAX_ROWS} rows of names that were logged together; or lines of an SDK, with `seq` in "
        "the query. A batch that is sent again is answered as a duplicate, so send it until it is answered. 409: "
        "batches before this one are missing; `detail` says which is expected. The body may have "
        f"{MAX_BATCH_BYTES} bytes.",
        request={"application/json": MetricBatch, "application/x-ndjson": bytes},
        responses=DeliveryAnswer,
        parameters=[OpenApiParameter("seq", int, description="number of the batch, of a body of lines")],
    )
    def post(self, request: Request, pk: str) -> HttpResponse:
        require_owner(request, told_run(pk))
        data = cast(dict[str, Any], request.data)  # of either parser
        if media_type_of(request) == LinesParser.media_type:
            query = {"seq": "", **request.query_params.dict()}
            seq = query_int(query, "seq", default=0, at_least=0, at_most=MAX_SEQ)
            batches = batches_from_lines(data.get("lines", b""))
        else:
            seq, batches = sequence_number(data.get("seq")), [batch_from(data)]
        said = deliver(pk, seq, batches)
        return json_response({"accepted": said.accepted, "next_seq": said.next_seq, "duplicate": said.is_duplicate})

    @extend_schema(
        tags=["runs"],
        operation_id="runs_metrics",
        summary="Read the metrics of a run",
        description="One row per step at which one of the names was logged, as columns; of more rows than `points` "
        "those that show every series best.",
        responses=MetricsAnswer,
        parameters=[
            OpenApiParameter("names", str, description="separated by commas, or several times; default: every name"),
            OpenApiParameter(
                "system",
                bool,
                description="what the server sampled of the run instead: CPU, memory, GPUs, energy; "
                "steps are seconds. Implied when every name begins with `system/`",
            ),
            OpenApiParameter("x", str, enum=["step", "time"], description="what the rows are ordered by"),
            OpenApiParameter("range", str, description="`min:max` of x, both included; either may be left out"),
            OpenApiParameter(
                "points", int, description=f"rows, {LEAST_POINTS}-{MOST_POINTS}, default {DEFAULT_POINTS}"
            ),
        ],
    )
    def get(self, request: Request, pk: str) -> HttpResponse:
        query = MetricsQuery.of(request)
        table = selected(visible_run(pk), query)
        x = table.times if query.by_time else table.steps
        shown_rows = table.taken(metrics.sample(x, list(table.numeric().values()), query.points))
        return json_response(
            {
                "steps": shown_rows.steps,
                "times": shown_rows.times,
                "values": {name: column_json(it) for name, it in shown_rows.columns.items()},
                "total": len(table),
                "sampled": len(shown_rows),
            }
        )


def asks_for_system(text: str | None, names: list[str]) -> bool:
    """Raises Invalid for what is no switch."""
    if text not in (None, "", "0", "1", "false", "true"):
        raise Invalid.field("system", f"{shown(text)} must be 1 or 0")
    is_implied = bool(names) and all(name.startswith(SYSTEM_PREFIX) for name in names)
    return is_implied if not text else text in ("1", "true")


def media_type_of(request: Request) -> str:
    return (request.content_type or "").partition(";")[0].strip().lower()


def selected(run: Run, query: MetricsQuery) -> Table:
    """The rows that are asked for, in the order of x; without those where none of the names was logged."""
    read = read_system if query.is_system else metrics.read_table
    if not query.by_time:
        return logged(read(run, query.names, (int(query.low), int(query.high))), query.names)
    table = logged(read(run, query.names), query.names)
    is_inside = (table.times >= query.low) & (table.times <= query.high)  # false where there is no time
    rows = np.flatnonzero(is_inside)
    return table.taken(rows[np.argsort(table.times[rows], kind="stable")])


def logged(table: Table, names: list[str] | None) -> Table:
    if names is None:
        return table
    is_logged = np.zeros(len(table), dtype=bool)
    for column in table.columns.values():
        is_logged |= column != None if column.dtype == object else ~np.isnan(column)  # noqa: E711  by element
    return table if is_logged.all() else table.taken(np.flatnonzero(is_logged))


def column_json(column: np.ndarray[Any, Any]) -> object:
    """NaN and infinity become null when they are written."""
    return column.tolist() if column.dtype == object else np.ascontiguousarray(column)


def range_of(text: str, number: type[int] | type[float]) -> tuple[float | None, float | None]:
    """`min:max`, either of which may be missing; raises Invalid."""
    low, colon, high = text.partition(":")
    try:
        bounds = [number(end) if end else None for end in (low, high)]
        # Comparisons refuse NaN, and what 64 bits do not hold.
        is_range = bool(colon) and len(text) < 100 and all(end is None or SMALLEST <= end <= LARGEST for end in bounds)
    except ValueError:
        is_range = False
    if not is_range:
        kind = "whole numbers" if number is int else "seconds"
        raise Invalid.field("range", f"{shown(text)} must be min:max in {kind}, either of which may be missing")
    return bounds[0], bounds[1]
