"""J7: the log of a pod, whole or followed as text or as Server-Sent Events."""

from collections.abc import Callable

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from mlserver.api.jobs_view import JobsView, success
from mlserver.api.parsing import query_flag, query_int
from mlserver.api.schema import whole_parameter
from mlserver.api.streams import Send, Stream, StreamResponse
from mlserver.errors import Invalid, NotFound, shown
from training.api.jobs import schemas
from training.api.jobs.job_json import exit_code_of, rank_of
from training.api.jobs.jobs import JOB, TAGS, find_job
from training.api.native.log_events import final_status
from training.models import Run, RunProcess, Task
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
            OpenApiParameter("follow", bool, description="a stream, until the pod has ended"),
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
        run, rank = find_pod(find_job(job_id), pod_name)
        if is_followed and run is not None and request.method == "GET":
            return followed(request, run, rank, count, selection)
        lines = logs.tail(run, rank, count, selection).lines if run is not None and count else []
        return success({"logs": "\n".join(line.text for line in lines)})


def find_pod(task: Task, name: str) -> tuple[Run | None, int]:
    """The newest run and the rank that a pod's name stands for; no run while the job waits. Raises PodNotFound."""
    rank = rank_of(task.job_id, name)
    run = Run.objects.visible().filter(task=task).order_by("-created_at", "-pk").first()
    if rank is None or rank >= (run.processes.count() if run else task.ranks):
        raise PodNotFound(f"job {task.job_id} has no pod {shown(name)}")
    return run, rank


def followed(request: Request, run: Run, rank: int, count: int, selection: logs.Selection) -> StreamResponse:
    """The first read happens here, in the thread of the request."""
    log = logs.FollowedLog(run, rank, 0, selection, is_over=run.has_ended)
    first = log.start_with_tail(count)
    if request.get_preferred_type(["text/plain", "text/event-stream"]) == "text/event-stream":
        return StreamResponse(PodEvents(log, first))
    return StreamResponse(PodText(log, first), content_type="text/plain; charset=utf-8")


class PodText(Stream):
    """Raw lines."""

    def __init__(self, log: logs.FollowedLog, first: list[logs.Line]) -> None:
        self._log, self._first = log, first

    async def run(self, send: Send, is_gone: Callable[[], bool]) -> None:
        await self.say(send, self._first)
        run_id = self._log.run.pk
        async for batch in logs.follow(self._log, lambda: final_status(run_id), is_gone):
            if not isinstance(batch, str):
                await self.say(send, batch)

    async def say(self, send: Send, lines: list[logs.Line]) -> None:
        if lines:
            await send("".join(line.text if line.is_partial else f"{line.text}\n" for line in lines).encode())


class PodEvents(Stream):
    """One `data` for each line, a comment while nothing comes, at last `end`."""

    def __init__(self, log: logs.FollowedLog, first: list[logs.Line]) -> None:
        self._log, self._first = log, first

    async def run(self, send: Send, is_gone: Callable[[], bool]) -> None:
        await send(events_of(self._first) or b": following\n\n")
        run_id, rank = self._log.run.pk, self._log.rank
        async for batch in logs.follow(self._log, lambda: last_word(run_id, rank), is_gone):
            if isinstance(batch, str):
                await send(f"event: end\ndata: {batch}\n\n".encode())
            else:
                await send(events_of(batch) or b": still following\n\n")


def events_of(lines: list[logs.Line]) -> bytes:
    """A line with a carriage return in it is one event of several `data` fields, as the standard has it."""
    return "".join(map(event_of, lines)).encode()


def event_of(line: logs.Line) -> str:
    return "".join(f"data: {part}\n" for part in line.text.splitlines() or [""]) + "\n"


def last_word(run_id: str, rank: int) -> str | None:
    """The exit code of an ended run's process, `null` where there is none; None while it runs."""
    if final_status(run_id) is None:
        return None
    process = RunProcess.objects.filter(run_id=run_id, rank=rank).first()
    code = exit_code_of(process) if process else None
    return "null" if code is None else str(code)


def tail_lines(request: Request) -> int:
    query = request.query_params
    name = "maxLines" if "maxLines" in query and "tailLines" not in query else "tailLines"
    return query_int(query, name, default=logs.MAX_LINES, at_least=0, at_most=logs.MAX_LINES)


def keywords(request: Request) -> str:
    text = request.query_params.get("keywords", "")
    if len(text) > MAX_KEYWORDS or "\n" in text:
        raise Invalid.field("keywords", f"{shown(text)} must be at most {MAX_KEYWORDS} characters of one line")
    return text
