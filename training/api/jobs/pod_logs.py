"""J7: the log of a pod, whole or followed as text or as Server-Sent Events."""

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from mlserver.api.jobs_view import JobsView, success
from mlserver.api.parsing import query_flag, query_int
from mlserver.api.schema import whole_parameter
from mlserver.api.streams import StreamResponse
from mlserver.errors import Invalid, NotFound, shown
from training.api.jobs import schemas
from training.api.jobs.job_json import newest_run, rank_of
from training.api.jobs.jobs import JOB, TAGS, find_job
from training.api.jobs.pod_streams import PodEvents, PodText, Wish
from training.models import Run, Task
from training.tracking import logs

MAX_KEYWORDS = 1000
POD = OpenApiParameter("pod_name", str, "path", description="of the detail of the job")


class PodNotFound(NotFound):
    code = "pod_not_found"


class PodLogs(JobsView):
    @extend_schema(
        tags=TAGS, operation_id="jobs_pod_logs", summary="Log of a pod",
        parameters=[
            JOB, POD,
            whole_parameter("tailLines", "last lines", default=logs.MAX_LINES, at_least=0, at_most=logs.MAX_LINES),
            OpenApiParameter("maxLines", int, description="as tailLines"),
            OpenApiParameter("follow", bool, description="a stream, from before the job runs until the pod has ended"),
            OpenApiParameter("keywords", str, description="only lines that contain it"),
        ],
        responses={
            200: schemas.LOGS,
            (200, "text/plain"): OpenApiTypes.STR,
            (200, "text/event-stream"): OpenApiResponse(
                OpenApiTypes.STR, description="`data` for each line, at last the event `end` with the exit code"
            ),
        },
    )  # fmt: skip
    def get(self, request: Request, job_id: str, pod_name: str) -> HttpResponse:
        """J7: standard output and error in written order. With `follow` text, or events by `Accept`."""
        count, selection = tail_lines(request), logs.Selection(search=keywords(request))
        is_followed = query_flag(request.query_params, "follow")
        task = find_job(job_id)
        run, rank = find_pod(task, pod_name)
        if is_followed and request.method == "GET":
            return followed(request, Wish(task.pk, rank, count, selection), run)
        lines = logs.tail(run, rank, count, selection).lines if run is not None and count else []
        return success({"logs": "\n".join(line.text for line in lines)})


def find_pod(task: Task, name: str) -> tuple[Run | None, int]:
    """The newest run and the rank that a pod's name stands for; no run while the job waits. Raises PodNotFound."""
    rank = rank_of(task.job_id, name)
    run = newest_run(task.pk)
    if rank is None or rank >= (run.processes.count() if run else task.ranks):
        raise PodNotFound(f"job {task.job_id} has no pod {shown(name)}")
    return run, rank


def followed(request: Request, wish: Wish, run: Run | None) -> StreamResponse:
    """The first read happens here, in the thread of the request."""
    opened = None if run is None else wish.opened(run)
    if request.get_preferred_type(["text/plain", "text/event-stream"]) == "text/event-stream":
        return StreamResponse(PodEvents(wish, opened))
    return StreamResponse(PodText(wish, opened), content_type="text/plain; charset=utf-8")


def tail_lines(request: Request) -> int:
    query = request.query_params
    name = "maxLines" if "maxLines" in query and "tailLines" not in query else "tailLines"
    return query_int(query, name, default=logs.MAX_LINES, at_least=0, at_most=logs.MAX_LINES)


def keywords(request: Request) -> str:
    text = request.query_params.get("keywords", "")
    if len(text) > MAX_KEYWORDS or "\n" in text:
        raise Invalid.field("keywords", f"{shown(text)} must be at most {MAX_KEYWORDS} characters of one line")
    return text
