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
from training.api.native.filters import TaskFilters
from training.api.native.schemas import DryRunAnswer, TaskAnswer, TaskChange, TaskSubmission
from training.api.native.task_json import Viewer, render_tasks, task_rows
from training.models import Source, Task
from training.queue import control
from training.queue.spec import TaskSpec
from training.queue.submit import dry_run, submit

DRY_RUN = OpenApiParameter("dry_run", bool, description="answer where and when it would start; nothing is written")


@extend_schema_view(list=extend_schema(tags=["tasks"]), retrieve=extend_schema(tags=["tasks"]))
class TaskSet(ReadSet):
    """What somebody asked to run. Changing one takes its owner or an administrator."""

    noun = "task"
    queryset = task_rows()
    serializer_class = TaskAnswer
    filterset_class = TaskFilters
    ordering_fields = ("id", "created_at", "queued_at", "started_at", "ended_at", "priority", "name")

    def render(self, rows: list[Row]) -> list[Row]:
        return render_tasks(rows, Viewer.of(self.request))

    @extend_schema(
        tags=["tasks"], parameters=[DRY_RUN], request=TaskSubmission, responses={201: TaskAnswer, 200: DryRunAnswer}
    )
    @idempotent
    def create(self, request: Request) -> Response:
        spec = TaskSpec.clean(self.body)
        if query_flag(request.query_params, "dry_run"):
            return Response(dry_run(spec))
        task = submit(spec, owner=self.caller, source=Source.NATIVE)
        return Response(self.read(task.pk), status=201, headers={"Location": reverse("task", args=[task.pk])})

    @extend_schema(tags=["tasks"], request=TaskChange, responses=TaskAnswer)
    def partial_update(self, request: Request, pk: int) -> Response:
        control.change_task(self.own(pk), self.body)
        return Response(self.read(pk))

    @extend_schema(tags=["tasks"], responses={204: OpenApiResponse(description="its runs and logs stay")})
    def destroy(self, request: Request, pk: int) -> Response:
        control.delete_task(self.own(pk))
        return Response(status=204)

    @extend_schema(tags=["tasks"], request=None, responses={200: TaskAnswer, 202: TaskAnswer})
    def stop(self, request: Request, pk: int) -> Response:
        """200 when it has ended already, 202 while its processes are given their grace."""
        task = control.stop_task(self.own(pk), f"stopped by {request.user}")
        return Response(self.read(pk), status=200 if task.has_ended else 202)

    @extend_schema(tags=["tasks"], request=None, responses=TaskAnswer)
    def hold(self, request: Request, pk: int) -> Response:
        return self.direct(control.hold_task, pk)

    @extend_schema(tags=["tasks"], request=None, responses=TaskAnswer)
    def release(self, request: Request, pk: int) -> Response:
        return self.direct(control.release_task, pk)

    @extend_schema(tags=["tasks"], request=None, responses=TaskAnswer)
    def retry(self, request: Request, pk: int) -> Response:
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
