"""J6: what happened to a job."""

from collections.abc import Iterator
from datetime import UTC, datetime

from django.http import HttpResponse
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from mlserver.api.jobs_view import JobsView, instant, success
from mlserver.api.reading import Row
from mlserver.errors import Invalid, shown
from training.api.jobs import schemas
from training.api.jobs.job_json import pod_name
from training.api.jobs.jobs import JOB, TAGS, find_job
from training.api.jobs.statuses import reason_of
from training.models import Event, Run, Task

LATEST_S = 253402300799


class JobEvents(JobsView):
    @extend_schema(
        tags=TAGS, operation_id="jobs_events", summary="Events of a job", responses=schemas.EVENTS,
        parameters=[
            JOB,
            OpenApiParameter("startTime", str, description="ISO 8601, or seconds since 1970; included"),
            OpenApiParameter("endTime", str, description="likewise"),
        ],
    )  # fmt: skip
    def get(self, request: Request, job_id: str) -> HttpResponse:
        """J6: the oldest first."""
        task = find_job(job_id)
        start, end = (instant_in(request, name) for name in ("startTime", "endTime"))
        found = sorted(events_of(task), key=lambda pair: pair[0])
        wanted = [row for at, row in found if (start is None or at >= start) and (end is None or at <= end)]
        return success({"events": wanted})


def events_of(task: Task) -> Iterator[tuple[datetime, Row]]:
    """Those that are written down, and two that follow from the rows: a launch, and why a job waits."""
    runs = {run.pk: run for run in Run.objects.filter(task=task).only("pk", "exit_class", "launch_claimed_at")}
    newest = task.queued_at
    for event in Event.objects.filter(task=task).order_by("pk"):
        newest = max(newest, event.last_at)
        run = runs.get(event.run_id or "")
        reason = reason_of(event, run.exit_class if run else None)
        if reason is not None:
            pod = pod_name(task.job_id, 0) if event.run_id else ""
            yield event.last_at, event_row(event.type, reason, event.message, event.last_at, pod, event.count)
    for run in runs.values():
        if run.launch_claimed_at is not None:
            at = run.launch_claimed_at
            yield at, event_row("Normal", "Creating", f"run {run.pk} is being started", at, pod_name(task.job_id, 0))
    if task.waiting_reason and task.status == "waiting":
        yield newest, event_row("Warning", "FailedScheduling", task.waiting_reason, newest, "")


def event_row(kind: str, reason: str, message: str, at: datetime, pod: str, count: int = 1) -> Row:
    return {
        "type": kind, "reason": reason, "message": message, "timestamp": instant(at), "podName": pod, "count": count,
    }  # fmt: skip


def instant_in(request: Request, name: str) -> datetime | None:
    """Raises Invalid for what is neither ISO 8601 nor seconds since 1970."""
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        seconds = float(text)
        if 0 <= seconds <= LATEST_S:
            return datetime.fromtimestamp(seconds, UTC)
    except ValueError:
        try:
            found = parse_datetime(text)
        except ValueError:
            found = None
        if found is not None:
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    raise Invalid.field(name, f"{shown(text)} is neither ISO 8601 nor seconds since 1970")
