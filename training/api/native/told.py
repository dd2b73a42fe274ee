"""N12: what a script says of its run as a whole, and with what it was made."""

from collections.abc import Mapping
from typing import IO, Any, cast

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as s
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.views import APIView

from mlserver.accounts.permissions import require_owner
from mlserver.api.parsing import StrictJSONParser, read_limited
from mlserver.api.rendering import json_response
from mlserver.errors import NotFound
from training.api.native.lookup import told_run, visible_run
from training.models import RunEnvironment
from training.models.best_metric import BEST_COLUMNS
from training.models.run import MAX_SUMMARY_BYTES
from training.tracking import spool, told

# Hundreds of packages, and the changes since the commit.
MAX_ENVIRONMENT_BYTES = 4 * 1024**2


class ToldParser(StrictJSONParser):
    """JSON as scripts write it: NaN and Infinity are taken, for `null`."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        body = read_limited(stream, self.max_bytes)
        found = spool.parsed(body) if body.strip() else {}
        if found is None:
            raise ParseError("the body must be a JSON object")
        return told.cleaned(found)


class EnvironmentParser(ToldParser):
    max_bytes = MAX_ENVIRONMENT_BYTES


class SummaryAnswer(s.Serializer[dict[str, object]]):
    script_summary = s.DictField(help_text="all that was said so far")
    best_metric_name = s.CharField()
    best_metric_value = s.FloatField(allow_null=True)
    best_metric_step = s.IntegerField(allow_null=True)
    best_metric_mode = s.CharField(help_text="max, min or empty")


class RunSummary(APIView):
    parser_classes = (ToldParser,)

    @extend_schema(
        tags=["runs"],
        operation_id="runs_summary_update",
        summary="Say something of a run as a whole",
        description="The members of the body come into `script_summary` of the run, at any time; NaN and Infinity "
        "become null. `best_metric_value`, `_name`, `_step` and `_mode` (`max`, `min`) are shown beside it, too. It "
        f"has at most {MAX_SUMMARY_BYTES} bytes as JSON, {told.MAX_DEPTH} levels deep.",
        request={"application/json": {"type": "object"}},
        responses=SummaryAnswer,
    )
    def put(self, request: Request, pk: str) -> HttpResponse:
        run = told_run(pk)
        require_owner(request, run)
        run.merge_summary(cast(dict[str, Any], request.data))
        run.refresh_from_db()
        return json_response({"script_summary": run.summary, **{name: getattr(run, name) for name in BEST_COLUMNS}})


class RunEnvironmentView(APIView):
    parser_classes = (EnvironmentParser,)

    @extend_schema(
        tags=["runs"],
        operation_id="runs_environment",
        summary="Read with what a run was made",
        description="Python, packages, git commit and changes, command, host, GPUs, as they were captured. 404: they "
        "were not.",
        responses={200: {"type": "object"}},
    )
    def get(self, request: Request, pk: str) -> HttpResponse:
        row = RunEnvironment.objects.filter(run=visible_run(pk)).first()
        if row is None:
            raise NotFound(f"the environment of run {pk} was not captured")
        return json_response(row.facts)

    @extend_schema(
        tags=["runs"],
        operation_id="runs_environment_set",
        summary="Say with what a run was made",
        description="For the SDK: its `environment.json`, in place of what was said before. At most "
        f"{MAX_ENVIRONMENT_BYTES} bytes.",
        request={"application/json": {"type": "object"}},
        responses={204: None},
    )
    def put(self, request: Request, pk: str) -> HttpResponse:
        run = told_run(pk)
        require_owner(request, run)
        RunEnvironment.objects.update_or_create(run=run, defaults={"facts": request.data})
        return HttpResponse(status=204)
