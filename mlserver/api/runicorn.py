"""URL map of the Runicorn API, in the order of its document."""

from django.urls import path

from gpus.api.runicorn import GpuTelemetry
from training.api.runicorn.environment import Environment
from training.api.runicorn.export import CsvFile, Export
from training.api.runicorn.logs import RunLogSocket
from training.api.runicorn.metrics import CacheStatistics, FastMetrics, NamedSeries, StepMetrics, TimeMetrics
from training.api.runicorn.report import Report
from training.api.runicorn.runs import RunList, RunPage

urlpatterns = [
    # R1, R2
    path("api/runs", RunList.as_view()),
    path("api/runs/<str:run_id>", RunPage.as_view()),
    # R7-R9
    path("api/runs/<str:run_id>/metrics", TimeMetrics.as_view()),
    path("api/runs/<str:run_id>/metrics_step", StepMetrics.as_view()),
    path("api/metrics/cache/stats", CacheStatistics.as_view()),
    # R10
    path("api/runs/<str:run_id>/logs/ws", RunLogSocket.as_view()),
    # R20
    path("api/v2/experiments/<str:id>/metrics/fast", FastMetrics.as_view()),
    # R44
    path("api/gpu/telemetry", GpuTelemetry.as_view()),
    # R50, R51
    path("api/metrics/<str:run_id>", NamedSeries.as_view()),
    path("api/export", Export.as_view()),
    # R53
    path("api/gpu", GpuTelemetry.as_view()),
    # R71-R73
    path("api/environment/<str:run_id>", Environment.as_view()),
    path("api/export/<str:run_id>/csv", CsvFile.as_view()),
    path("api/export/<str:run_id>/report", Report.as_view()),
]
