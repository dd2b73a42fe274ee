"""R1, R2: the list of runs, and one of them."""

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from mlserver.api.rendering import json_response
from mlserver.api.runicorn_view import RunicornView
from mlserver.seldom import Seldom
from training.api.runicorn.run_json import list_newest, read_run
from training.api.runicorn.schemas import RUN, TAGS, RunDetail, RunItem
from training.execution.liveness import check_outside_runs

LOOK = Seldom(every_s=5)


class RunList(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_runs",
        summary="List runs",
        description="All of them, the newest first, whatever door they came in by; without those in the recycle bin.",
        responses=RunItem(many=True),
    )
    def get(self, request: Request) -> HttpResponse:
        """R1."""
        look_after_runs()
        return json_response(list_newest())


class RunPage(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_run",
        summary="Read one run",
        description="404 for a run in the recycle bin, too.",
        parameters=[RUN],
        responses=RunDetail,
    )
    def get(self, request: Request, run_id: str) -> HttpResponse:
        """R2."""
        return json_response(read_run(run_id))


def look_after_runs() -> None:
    """The list tells of runs whose process is gone; many calls at once look once."""
    if LOOK.is_due():
        check_outside_runs()
