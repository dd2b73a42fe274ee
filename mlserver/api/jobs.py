"""URL map of the Jobs API, in the order of its document."""

from django.urls import path

from training.api.jobs.events import JobEvents
from training.api.jobs.jobs import JobCreate, JobDetail, JobList, JobStop
from training.api.jobs.pod_logs import PodLogs
from training.api.jobs.terminal import PodTerminal
from training.api.jobs.webterminal import WebTerminal

urlpatterns = [
    # J1-J5; `create` before the ids, which all start with `job-`
    path("api/jobs", JobList.as_view()),
    path("api/jobs/create", JobCreate.as_view()),
    path("api/jobs/<str:job_id>", JobDetail.as_view()),
    path("api/jobs/<str:job_id>/stop", JobStop.as_view()),
    # J6-J9
    path("api/jobs/<str:job_id>/events", JobEvents.as_view()),
    path("api/jobs/<str:job_id>/pods/<str:pod_name>/logs", PodLogs.as_view()),
    path("api/jobs/<str:job_id>/pods/<str:pod_name>/webterminal", PodTerminal.as_view()),
    path("webterminal/<str:token>", WebTerminal.as_view()),
]
