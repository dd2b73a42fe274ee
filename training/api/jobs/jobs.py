"""J1-J5: list, read, create, stop and delete jobs."""

from typing import cast

from django.contrib.auth.models import User
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from mlserver.accounts.permissions import require_owner
from mlserver.accounts.scopes import Scope
from mlserver.api.idempotency import idempotent
from mlserver.api.jobs_view import JobsView, success
from mlserver.api.reading import Row
from mlserver.api.schema import text_parameter
from mlserver.errors import NotFound
from mlserver.prepared import Prepared
from training import jobs
from training.api.jobs import schemas
from training.api.jobs.job_json import job_detail, job_item
from training.api.jobs.job_query import JobQuery
from training.api.native.task_json import Viewer
from training.models import Task
from training.models.job_id import JOB_ID

TAGS = ["jobs"]
OF_PATH = Prepared(lambda job_id: Task.objects.visible().select_related("owner").filter(job_id=job_id)[:1])
JOB = text_parameter("job_id", "as the creation answered", pattern=JOB_ID)


class JobList(JobsView):
    required_scope = Scope.READ.value

    @extend_schema(
        tags=TAGS, operation_id="jobs_list", summary="List jobs", request=schemas.JobQuery, responses=schemas.JOBS,
        parameters=[
            OpenApiParameter("queueID", str, description="as in the body"),
            OpenApiParameter("resourcePoolId", str, description="as in the body"),
        ],
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """J1: tasks of all doors. An empty body lists everything."""
        query = JobQuery.of(cast(Row, request.data), request.query_params.dict())
        return success({"jobs": [job_item(row) for row in query.page()], "totalCount": query.count()})


class JobCreate(JobsView):
    @extend_schema(
        tags=TAGS, operation_id="jobs_create", summary="Create a job", request=schemas.JobCreation,
        responses=schemas.CREATED,
    )  # fmt: skip
    @idempotent
    def post(self, request: Request) -> HttpResponse:
        """J3: it starts when its GPUs are free."""
        task = jobs.create(cast(Row, request.data), owner=cast(User, request.user))
        return success({"jobId": task.job_id, "jobName": task.name}, message=f"job {task.job_id} is queued")


class JobDetail(JobsView):
    @extend_schema(
        tags=TAGS, operation_id="jobs_detail", summary="Read one job", responses=schemas.JOB,
        parameters=[JOB, OpenApiParameter("needDetail", bool, description="taken and ignored")],
    )  # fmt: skip
    def get(self, request: Request, job_id: str) -> HttpResponse:
        """J2: with the request that made it, and its pods."""
        return success(job_detail(find_job(job_id), Viewer.of(request)))

    @extend_schema(
        tags=TAGS, operation_id="jobs_delete", summary="Delete a job", parameters=[JOB], responses=schemas.SAID
    )
    def delete(self, request: Request, job_id: str) -> HttpResponse:
        """J5: a live one is stopped first. It leaves the lists; its runs, logs and events stay."""
        jobs.delete(own_job(request, job_id), f"deleted by {request.user}")
        return success(message=f"job {job_id} is deleted")


class JobStop(JobsView):
    conflicting_actions = ("post",)

    @extend_schema(
        tags=TAGS, operation_id="jobs_stop", summary="Stop a job", parameters=[JOB], request=None,
        responses=schemas.SAID,
    )  # fmt: skip
    def post(self, request: Request, job_id: str) -> HttpResponse:
        """J4: recorded when this answers; its processes get TERM, after 30 s KILL. 409 when it has ended."""
        jobs.stop(own_job(request, job_id), f"stopped by {request.user}")
        return success(message=f"job {job_id} is being stopped")


def find_job(job_id: str) -> Task:
    task = OF_PATH.first(job_id)
    if task is None:
        raise NotFound(f"job {job_id} does not exist")
    return task


def own_job(request: Request, job_id: str) -> Task:
    """The job, when the caller may change it; raises NotFound and Forbidden."""
    task = find_job(job_id)
    require_owner(request, task)
    return task
