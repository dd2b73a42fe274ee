"""N5, N6: read and annotate runs, and make one outside the queue."""

from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from mlserver.accounts.permissions import require_owner
from mlserver.api.idempotency import idempotent
from mlserver.api.reading import ReadSet, Row
from mlserver.errors import NotFound
from training.api.native.filters import RunFilters
from training.api.native.run_json import render_runs, run_rows
from training.api.native.schemas import RunAnswer, RunChange, SdkRun, SdkRunAnswer
from training.models import Run
from training.records import annotate_run, begin_sdk_run


@extend_schema_view(
    list=extend_schema(tags=["runs"], summary="List runs"),
    retrieve=extend_schema(tags=["runs"], summary="Read one run"),
)
class RunSet(ReadSet):
    """One execution of a task, or one made by the SDK outside the queue."""

    noun = "run"
    queryset = run_rows()
    serializer_class = RunAnswer
    filterset_class = RunFilters
    conflicting_actions = ("create",)
    ordering = "-created_at"
    ordering_fields = ("created_at", "started_at", "ended_at", "name", "project", "id")

    def render(self, rows: list[Row]) -> list[Row]:
        return render_runs(rows)

    @extend_schema(
        tags=["runs"],
        summary="Begin a run outside the queue",
        description="For the SDK. `next_seq` of the answer numbers the first batch of metrics. 409: the id is taken.",
        request=SdkRun,
        responses={201: SdkRunAnswer},
    )
    @idempotent
    def create(self, request: Request) -> Response:
        run = begin_sdk_run(self.body, owner=self.caller)
        body = {**self.read(run.pk), "next_seq": run.next_seq}
        return Response(body, status=201, headers={"Location": reverse("run", args=[run.pk])})

    @extend_schema(
        tags=["runs"],
        summary="Annotate a run",
        description="Name, tags and notes, at any time. Its directory keeps its name.",
        request=RunChange,
        responses=RunAnswer,
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        run = Run.objects.visible().filter(pk=pk).first()
        if run is None:
            raise NotFound(f"run {pk} does not exist")
        require_owner(request, run)
        annotate_run(run, self.body)
        return Response(self.read(pk))
