"""F4, F5: the processes that this server started."""

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from mlserver.accounts.permissions import require_owner
from mlserver.api.flowline_view import FlowlineView, by_key
from mlserver.api.rendering import json_response
from mlserver.api.streams import StreamResponse
from mlserver.errors import BadRequest, Conflict, NotFound, shown
from training.api.flowline.gone import WhenGone
from training.api.flowline.process_json import listed, render_process
from training.api.flowline.schemas import Done, FlowlineProcess
from training.models import Run, RunProcess
from training.models.run import ACTIVE
from training.queue.control import stop_task

TAGS = ["flowline"]
LARGEST, MOST_DIGITS = 2**31 - 1, 10
PROCESS = OpenApiParameter("process_id", int, "path", description="the PID, or the number of `process_id`")


class ProcessList(FlowlineView):
    @extend_schema(
        tags=TAGS, operation_id="flowline_processes", summary="All processes of this server, by PID",
        responses=by_key(FlowlineProcess),
    )  # fmt: skip
    def get(self, request: Request) -> HttpResponse:
        """F4: those that run, and the last hundred that ended."""
        return json_response({str(row["pid"]): render_process(row) for row in listed()})


class ProcessKill(FlowlineView):
    conflicting_actions = ("post",)

    @extend_schema(
        tags=TAGS, operation_id="flowline_process_kill", summary="End a process and all it started",
        parameters=[PROCESS], request=None, responses=Done,
    )  # fmt: skip
    def post(self, request: Request, process_id: str) -> HttpResponseBase:
        """F5: TERM, then KILL; its task is stopped. Answers when all of it is gone, at the latest after 8 s."""
        process = find_process(process_id)
        task = process.run.task
        assert task is not None
        require_owner(request, task)
        if process.run.status not in ACTIVE:
            raise Conflict(f"process {process_id} has ended already")
        if task.stop_requested_at is None:
            stop_task(task, f"killed by {request.user}")
        ending = Run.objects.filter(task_id=task.pk).active().values_list("id", flat=True)
        return StreamResponse(WhenGone({process.run_id, *ending}), content_type="application/json")


def find_process(text: str) -> RunProcess:
    """By PID, a live one before others; else by number. Raises BadRequest and NotFound."""
    if not (text.isascii() and text.isdigit()) or len(text) > MOST_DIGITS or int(text) > LARGEST:
        raise BadRequest(f"process_id: {shown(text)} is not a whole number")
    managed = RunProcess.objects.of_listed_tasks().select_related("run__task")
    by_pid = managed.filter(pid=int(text))
    found = (
        by_pid.filter(run__status__in=ACTIVE).first()
        or managed.filter(pk=int(text) + 1, run__status__in=ACTIVE).first()
        or by_pid.first()
        or managed.filter(pk=int(text) + 1).first()
    )
    if found is None:
        raise NotFound(f"no process {text} was started by this server")
    return found
