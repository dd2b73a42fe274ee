"""URL map of the Runicorn API, in the order of its document."""

from django.urls import path

from gpus.api.runicorn import GpuTelemetry
from training.api.runicorn.analytics import (
    AnalyticsHealth,
    AnalyticsOverview,
    AnalyticsProjects,
    AnalyticsSummary,
    AnalyticsTrends,
)
from training.api.runicorn.environment import Environment
from training.api.runicorn.experiments import (
    ExperimentList,
    ExperimentSearch,
    ExperimentTags,
    RunProgress,
    StatusCheck,
)
from training.api.runicorn.export import CsvFile, Export
from training.api.runicorn.logs import RunLogSocket
from training.api.runicorn.metrics import CacheStatistics, FastMetrics, NamedSeries, StepMetrics, TimeMetrics
from training.api.runicorn.projects import NamedRuns, NameList, ProjectList
from training.api.runicorn.recycle_bin import BatchDelete, Bin, Empty, Remove, Restore, SoftDelete
from training.api.runicorn.report import Report
from training.api.runicorn.runs import RunList, RunPage
from training.api.runicorn.v2 import ExperimentDetail, ExperimentQuery

urlpatterns = [
    # R1-R6; what is fixed stands before what is free
    path("api/runs", RunList.as_view()),
    path("api/runs/soft-delete", SoftDelete.as_view()),
    path("api/runs/<str:run_id>", RunPage.as_view()),
    path("api/recycle-bin", Bin.as_view()),
    path("api/recycle-bin/restore", Restore.as_view()),
    path("api/recycle-bin/empty", Empty.as_view()),
    # R7-R9
    path("api/runs/<str:run_id>/metrics", TimeMetrics.as_view()),
    path("api/runs/<str:run_id>/metrics_step", StepMetrics.as_view()),
    path("api/metrics/cache/stats", CacheStatistics.as_view()),
    # R10
    path("api/runs/<str:run_id>/logs/ws", RunLogSocket.as_view()),
    # R18, R21, R19
    path("api/v2/experiments", ExperimentQuery.as_view()),
    path("api/v2/experiments/batch-delete", BatchDelete.as_view()),
    path("api/v2/experiments/<str:id>", ExperimentDetail.as_view()),
    # R20
    path("api/v2/experiments/<str:id>/metrics/fast", FastMetrics.as_view()),
    # R40-R42; any text may stand for a name, and is refused with a sentence
    path("api/projects", ProjectList.as_view()),
    path("api/projects/<path:project>/names/<path:name>/runs", NamedRuns.as_view()),
    path("api/projects/<path:project>/names", NameList.as_view()),
    # R44
    path("api/gpu/telemetry", GpuTelemetry.as_view()),
    # R48
    path("api/experiments", ExperimentList.as_view()),
    # R50, R51
    path("api/metrics/<str:run_id>", NamedSeries.as_view()),
    path("api/export", Export.as_view()),
    # R53
    path("api/gpu", GpuTelemetry.as_view()),
    # R62
    path("api/runs/<str:run_id>/progress", RunProgress.as_view()),
    # R70
    path("api/status/check", StatusCheck.as_view()),
    # R71-R73
    path("api/environment/<str:run_id>", Environment.as_view()),
    path("api/export/<str:run_id>/csv", CsvFile.as_view()),
    path("api/export/<str:run_id>/report", Report.as_view()),
    # R75-R77
    path("api/experiments/tag", ExperimentTags.as_view()),
    path("api/experiments/search", ExperimentSearch.as_view()),
    path("api/experiments/delete", Remove.as_view()),
    # R91-R95
    path("api/v2/analytics/overview", AnalyticsOverview.as_view()),
    path("api/v2/analytics/projects", AnalyticsProjects.as_view()),
    path("api/v2/analytics/performance-trends", AnalyticsTrends.as_view()),
    path("api/v2/analytics/health", AnalyticsHealth.as_view()),
    path("api/v2/analytics/summary", AnalyticsSummary.as_view()),
]
