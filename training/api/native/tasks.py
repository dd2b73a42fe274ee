"""N1-N4: submit, read, change and direct tasks."""

from collections.abc import Callable

from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from mlserver.accounts.permissions import require_owner
from mlserver.api.idempotency import idempotent
from mlserver.api.parsing import query_flag
from mlserver.api.reading import ReadSet, Row
from mlserver.errors import NotFound
from mlserver.prepared import Prepared
from training.api.native.filters import TaskFilters
from training.api.native.schemas import DryRunAnswer, TaskAnswer, TaskChange, TaskSubmission
from training.api.native.task_json import Viewer, render_tasks, task_rows
from training.models import Source, Task
from training.queue import control
from training.queue.forecast import dry_run
from training.queue.spec import TaskSpec
from training.queue.submit import submit

DRY_RUN = OpenApiParameter("dry_run", bool, description="answer where and when it would start; nothing is written")


@extend_schema_view(
    list=extend_schema(
        tags=["tasks"], summary="List tasks", description="Newest first, with waiting reason, place and newest run."
    ),
    retrieve=extend_schema(
        tags=["tasks"], summary="Read one task", description="With waiting reason, place in the line and newest run."
    ),
)
class TaskSet(ReadSet):
    """What somebody asked to run. Changing one takes its owner or an administrator."""

    noun = "task"
    queryset = task_rows()
    by_key = Prepared(lambda pk: task_rows().filter(pk=pk))
    serializer_class = TaskAnswer
    filterset_class = TaskFilters
    conflicting_actions = ("partial_update", "destroy", "stop", "hold", "release", "retry")
    ordering_fields = ("id", "created_at", "queued_at", "started_at", "ended_at", "priority", "name")

    def render(self, rows: list[Row]) -> list[Row]:
        return render_tasks(rows, Viewer.of(self.request))

    @extend_schema(
        tags=["tasks"],
        summary="Submit a task",
        description="Answers the task after one scheduling pass: placed, or waiting with its reason. Of an `array` it "
        "is the first of its tasks, and `Location` lists them all. 200: `dry_run`.",
        parameters=[DRY_RUN],
        request=TaskSubmission,
        responses={201: TaskAnswer, 200: DryRunAnswer},
    )
    @idempotent
    def create(self, request: Request) -> Response:
        spec = TaskSpec.clean(self.body)
        if query_flag(request.query_params, "dry_run"):
            return Response(dry_run(spec, owner=self.caller))
        task = submit(spec, owner=self.caller, source=Source.NATIVE)
        place = reverse("task", args=[task.pk]) if spec.array is None else f"{reverse('tasks')}?array={task.array_id}"
        return Response(self.read(task.pk), status=201, headers={"Location": place})

    @extend_schema(
        tags=["tasks"],
        summary="Change a task",
        description="Name, tags, labels and description at any time; what is run, resources and priority while it is "
        "held or waiting, else 409.",
        request=TaskChange,
        responses=TaskAnswer,
    )
    def partial_update(self, request: Request, pk: int) -> Response:
        control.change_task(self.own(pk), self.body)
        return Response(self.read(pk))

    @extend_schema(
        tags=["tasks"],
        summary="Delete an ended task",
        description="It is hidden from the lists; its runs, logs and events stay. 409 before it has ended.",
        responses={204: OpenApiResponse(description="it is hidden")},
    )
    def destroy(self, request: Request, pk: int) -> Response:
        control.delete_task(self.own(pk))
        return Response(status=204)

    @extend_schema(
        tags=["tasks"],
        summary="Stop a task",
        request=None,
        responses={
            200: OpenApiResponse(TaskAnswer, description="it waited or was held, and has ended"),
            202: OpenApiResponse(TaskAnswer, description="its processes have their grace to end"),
        },
    )
    def stop(self, request: Request, pk: int) -> Response:
        """Nothing more of it is placed; running processes get TERM and, after `grace_s`, KILL.

        409 when it had ended before, or is being stopped already.
        """
        task = control.stop_task(self.own(pk), f"stopped by {request.user}")
        return Response(self.read(pk), status=200 if task.has_ended else 202)

    @extend_schema(tags=["tasks"], summary="Hold a waiting task", request=None, responses=TaskAnswer)
    def hold(self, request: Request, pk: int) -> Response:
        """It keeps out of the line until it is released. 409 unless it is waiting."""
        return self.direct(control.hold_task, pk)

    @extend_schema(tags=["tasks"], summary="Release a held task", request=None, responses=TaskAnswer)
    def release(self, request: Request, pk: int) -> Response:
        """It goes to the end of the line of its priority. 409 unless it is held."""
        return self.direct(control.release_task, pk)

    @extend_schema(tags=["tasks"], summary="Run an ended task once more", request=None, responses=TaskAnswer)
    def retry(self, request: Request, pk: int) -> Response:
        """As a new run of the same task, with its retries renewed. 409 before it has ended."""
        return self.direct(control.retry_task, pk)

    def direct(self, action: Callable[[Task], Task], pk: int) -> Response:
        action(self.own(pk))
        return Response(self.read(pk))

    def own(self, pk: int) -> Task:
        """The task, when the caller may change it; raises NotFound and Forbidden."""
        task = Task.objects.visible().filter(pk=pk).first()
        if task is None:
            raise NotFound(f"task {pk} does not exist")
        require_owner(self.request, task)
        return task
