"""URL map of the native API, in the order of its document."""

from django.urls import path

from gpus.api.native import GpuSet, NodeSet
from mlserver.accounts.api import ApiKeyViewSet
from training.api.native.arrays import ArraySet
from training.api.native.events import EventSet
from training.api.native.leases import LeaseSet
from training.api.native.lines import PoolSet, QueueSet, UserLimitsSet
from training.api.native.logs import RunLogs
from training.api.native.media import MediaSet, Medium
from training.api.native.metrics import RunMetrics
from training.api.native.processes import ProcessSet
from training.api.native.runs import RunSet
from training.api.native.schedules import ScheduleSet
from training.api.native.tasks import TaskSet
from training.api.native.terminals import RunTerminal
from training.api.native.told import RunEnvironmentView, RunSummary

urlpatterns = [
    # N1-N4
    path("api/v1/tasks", TaskSet.as_view({"get": "list", "post": "create"}), name="tasks"),
    path(
        "api/v1/tasks/<int:pk>",
        TaskSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}, detail=True),
        name="task",
    ),
    path("api/v1/tasks/<int:pk>/stop", TaskSet.as_view({"post": "stop"}, detail=True)),
    path("api/v1/tasks/<int:pk>/hold", TaskSet.as_view({"post": "hold"}, detail=True)),
    path("api/v1/tasks/<int:pk>/release", TaskSet.as_view({"post": "release"}, detail=True)),
    path("api/v1/tasks/<int:pk>/retry", TaskSet.as_view({"post": "retry"}, detail=True)),
    path("api/v1/arrays/<str:pk>", ArraySet.as_view({"get": "retrieve"}, detail=True)),
    path("api/v1/arrays/<str:pk>/stop", ArraySet.as_view({"post": "stop"}, detail=True)),
    path("api/v1/arrays/<str:pk>/hold", ArraySet.as_view({"post": "hold"}, detail=True)),
    path("api/v1/arrays/<str:pk>/release", ArraySet.as_view({"post": "release"}, detail=True)),
    # N5, N6
    path("api/v1/runs", RunSet.as_view({"get": "list", "post": "create"}), name="runs"),
    path(
        "api/v1/runs/<str:pk>", RunSet.as_view({"get": "retrieve", "patch": "partial_update"}, detail=True), name="run"
    ),
    # N7, N11
    path("api/v1/runs/<str:pk>/metrics", RunMetrics.as_view(), name="run-metrics"),
    # N8, N9
    path("api/v1/runs/<str:pk>/logs", RunLogs.as_view(), name="run-logs"),
    # N10
    path("api/v1/runs/<str:pk>/media", MediaSet.as_view({"get": "list", "post": "create"}), name="run-media"),
    path("api/v1/runs/<str:pk>/media/<str:name>", Medium.as_view(), name="run-medium"),
    # a terminal, as J8
    path("api/v1/runs/<str:pk>/terminal", RunTerminal.as_view()),
    # N12
    path("api/v1/runs/<str:pk>/summary", RunSummary.as_view(), name="run-summary"),
    path("api/v1/runs/<str:pk>/environment", RunEnvironmentView.as_view(), name="run-environment"),
    path("api/v1/runs/<str:pk>/heartbeat", RunSet.as_view({"post": "heartbeat"}, detail=True)),
    path("api/v1/runs/<str:pk>/finish", RunSet.as_view({"post": "finish"}, detail=True)),
    # N13
    path("api/v1/processes", ProcessSet.as_view({"get": "list"})),
    path("api/v1/processes/<int:pk>", ProcessSet.as_view({"get": "retrieve"}, detail=True)),
    path("api/v1/events", EventSet.as_view({"get": "list"})),
    path("api/v1/events/<int:pk>", EventSet.as_view({"get": "retrieve"}, detail=True)),
    path("api/v1/leases", LeaseSet.as_view({"get": "list"})),
    path("api/v1/leases/<int:pk>", LeaseSet.as_view({"get": "retrieve"}, detail=True)),
    path("api/v1/nodes", NodeSet.as_view({"get": "list"})),
    path("api/v1/nodes/<int:pk>", NodeSet.as_view({"get": "retrieve"}, detail=True)),
    path("api/v1/gpus", GpuSet.as_view({"get": "list"})),
    path("api/v1/gpus/<int:pk>", GpuSet.as_view({"get": "retrieve", "patch": "partial_update"}, detail=True)),
    # what tasks wait in, and where they may run
    path("api/v1/pools", PoolSet.as_view({"get": "list", "post": "create"})),
    path(
        "api/v1/pools/<int:pk>",
        PoolSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}, detail=True),
        name="pool",
    ),
    path("api/v1/queues", QueueSet.as_view({"get": "list", "post": "create"})),
    path(
        "api/v1/queues/<int:pk>",
        QueueSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}, detail=True),
        name="queue",
    ),
    path("api/v1/schedules", ScheduleSet.as_view({"get": "list", "post": "create"})),
    path(
        "api/v1/schedules/<int:pk>",
        ScheduleSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}, detail=True),
        name="schedule",
    ),
    path("api/v1/schedules/<int:pk>/fire", ScheduleSet.as_view({"post": "fire"}, detail=True)),
    path("api/v1/user-limits", UserLimitsSet.as_view({"get": "list", "post": "create"})),
    path(
        "api/v1/user-limits/<int:pk>",
        UserLimitsSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}, detail=True),
        name="user-limit",
    ),
    # N14
    path("api/v1/api-keys", ApiKeyViewSet.as_view({"get": "list", "post": "create"}), name="api-keys"),
    path(
        "api/v1/api-keys/<int:pk>",
        ApiKeyViewSet.as_view({"get": "retrieve", "delete": "destroy"}, detail=True),
        name="api-key",
    ),
]
