"""N5, N6, N12: read and annotate runs; make one outside the queue, keep it alive and end it."""

from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from mlserver.accounts.permissions import require_owner
from mlserver.api.idempotency import idempotent
from mlserver.api.reading import ReadSet, Row
from mlserver.errors import Conflict, NotFound
from mlserver.prepared import Prepared
from training.api.native.filters import RunFilters
from training.api.native.run_json import render_runs, run_rows
from training.api.native.schemas import HeartbeatAnswer, RunAnswer, RunChange, RunEnd, SdkRun, SdkRunAnswer
from training.models import Run
from training.models.run import RunQuerySet
from training.records import annotate_run, begin_sdk_run, end_sdk_run, take_up_sdk_run


@extend_schema_view(
    list=extend_schema(tags=["runs"], summary="List runs"),
    retrieve=extend_schema(tags=["runs"], summary="Read one run"),
)
class RunSet(ReadSet):
    """One execution of a task, or one made by the SDK outside the queue."""

    noun = "run"
    queryset = run_rows()
    by_key = Prepared(lambda pk: run_rows().filter(pk=pk))
    serializer_class = RunAnswer
    filterset_class = RunFilters
    conflicting_actions = ("create", "heartbeat", "finish")
    ordering = "-created_at"
    ordering_fields = ("created_at", "started_at", "ended_at", "name", "project", "id")

    def render(self, rows: list[Row]) -> list[Row]:
        return render_runs(rows)

    @extend_schema(
        tags=["runs"],
        summary="Begin a run outside the queue",
        description="For the SDK. `next_seq` of the answer numbers the next batch of metrics. With `resume` a run of "
        "yours outside the queue that has this id goes on, whether it has ended or not, and the answer is 200. 409: "
        "the id is taken.",
        request=SdkRun,
        responses={200: SdkRunAnswer, 201: SdkRunAnswer},
    )
    @idempotent
    def create(self, request: Request) -> Response:
        known = take_up_sdk_run(self.body, owner=self.caller)
        run = known or begin_sdk_run(self.body, owner=self.caller)
        body = {**self.read(run.pk), "next_seq": run.next_seq}
        return Response(body, status=200 if known else 201, headers={"Location": reverse("run", args=[run.pk])})

    @extend_schema(
        tags=["runs"],
        summary="Annotate a run",
        description="Name, tags and notes, at any time. Its directory keeps its name.",
        request=RunChange,
        responses=RunAnswer,
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        annotate_run(self.own_run(pk, Run.objects.visible()), self.body)
        return Response(self.read(pk))

    @extend_schema(
        tags=["runs"],
        summary="Say that a run goes on",
        description="For the SDK, each 30 s or so; batches of metrics say it as well. `stop_requested`: somebody wants "
        "the run to end. 409: it has ended.",
        request=None,
        responses=HeartbeatAnswer,
    )
    def heartbeat(self, request: Request, pk: str) -> Response:
        run = self.own_run(pk, Run.objects.all())
        if not run.note_heartbeat():
            raise Conflict(f"run {pk} has ended")
        return Response({"status": run.status, "stop_requested": run.stop_requested_at is not None})

    @extend_schema(
        tags=["runs"],
        summary="End a run outside the queue",
        description="For the SDK. 409: the run has ended, or its command is executed by the server and ends it.",
        request=RunEnd,
        responses=RunAnswer,
    )
    def finish(self, request: Request, pk: str) -> Response:
        end_sdk_run(self.own_run(pk, Run.objects.all()), self.body)
        return Response(self.told(pk))

    def told(self, pk: str) -> Row:
        """As it is read, to the script that tells of it: also from the recycle bin, for it may come back."""
        return self.render(list(run_rows(Run.objects.filter(pk=pk))))[0]

    def own_run(self, pk: str, runs: RunQuerySet) -> Run:
        """One of `runs`. Raises NotFound, and Forbidden when it is somebody else's."""
        run = runs.filter(pk=pk).first()
        if run is None:
            raise NotFound(f"run {pk} does not exist")
        require_owner(self.request, run)
        return run
