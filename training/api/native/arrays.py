"""Arrays as a whole: how far their tasks are, and what is done to all of them at once."""

from collections.abc import Callable

from django.db.models import Count
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as s
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from mlserver.accounts.permissions import require_owner
from mlserver.api.reading import Row
from mlserver.errors import NotFound
from training.models import Task, TaskStatus
from training.queue import control


class ArrayAnswer(s.Serializer[Row]):
    array_id = s.CharField()
    size = s.IntegerField(help_text="tasks it was made with")
    statuses = s.DictField(child=s.IntegerField(), help_text="tasks of each status; deleted ones are left out")


class ArrayDone(ArrayAnswer):
    done = s.ListField(child=s.IntegerField(), help_text="tasks that were changed; the others were in another state")


class ArraySet(ViewSet):
    """All tasks of one submission. Directing them takes their owner or an administrator."""

    @extend_schema(tags=["tasks"], summary="Read an array", responses=ArrayAnswer)
    def retrieve(self, request: Request, pk: str) -> Response:
        """How many of its tasks are in which status. The tasks themselves: `/api/v1/tasks?array=`."""
        return Response(said_of(pk))

    @extend_schema(tags=["tasks"], summary="Stop an array", request=None, responses=ArrayDone)
    def stop(self, request: Request, pk: str) -> Response:
        """Stops each of its tasks that has not ended, as the stop of a task does."""
        why = f"stopped with its array by {request.user}"
        return self.direct(request, pk, lambda task: control.stop_task(task, why))

    @extend_schema(tags=["tasks"], summary="Hold an array", request=None, responses=ArrayDone)
    def hold(self, request: Request, pk: str) -> Response:
        """Holds each of its tasks that waits; what runs goes on."""
        return self.direct(request, pk, control.hold_task)

    @extend_schema(tags=["tasks"], summary="Release an array", request=None, responses=ArrayDone)
    def release(self, request: Request, pk: str) -> Response:
        """Releases each of its tasks that is held."""
        return self.direct(request, pk, control.release_task)

    def direct(self, request: Request, pk: str, action: Callable[[Task], object]) -> Response:
        tasks = list(Task.objects.visible().of_array(pk).order_by("array_index"))
        for task in tasks[:1]:
            require_owner(request, task)
        done = control.do_with_each(tasks, action)
        return Response({**said_of(pk), "done": done})


def said_of(array_id: str) -> Row:
    """Raises NotFound when none of its tasks is left."""
    rows = Task.objects.visible().of_array(array_id).order_by().values("status", "array_size")
    counts = {row["status"]: row for row in rows.annotate(count=Count("pk"))}
    if not counts:
        raise NotFound(f"array {array_id} does not exist")
    size = next(iter(counts.values()))["array_size"]
    statuses = {str(status): counts[status]["count"] for status in TaskStatus.values if status in counts}
    return {"array_id": array_id, "size": size, "statuses": statuses}
