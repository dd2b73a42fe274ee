"""URL map of the Training API, in the order of its document."""

from django.urls import path

from gpus.api.sessions import SystemInfo
from registry.api.sessions import DatasetSet, ModelSet
from training.api.sessions import SessionSet

urlpatterns = [
    # T3-T8
    path("api/v1/training/start", SessionSet.as_view({"post": "start"})),
    path("api/v1/training/<str:session_id>/stop", SessionSet.as_view({"post": "stop"})),
    path("api/v1/training/<str:session_id>/status", SessionSet.as_view({"get": "status"})),
    path("api/v1/training/<str:session_id>/metrics", SessionSet.as_view({"get": "metrics"})),
    path("api/v1/training/<str:session_id>/history", SessionSet.as_view({"get": "history"})),
    path("api/v1/training/<str:session_id>/logs", SessionSet.as_view({"get": "logs"})),
    # T9-T11
    path("api/v1/training/sessions", SessionSet.as_view({"get": "list"})),
    path("api/v1/training/queue", SessionSet.as_view({"get": "queue"})),
    path("api/v1/training/queue/<str:session_id>", SessionSet.as_view({"delete": "cancel"})),
    # T12
    path("api/v1/system/info", SystemInfo.as_view()),
    # T13-T16; whose bodies are streamed: mlserver.serving.request_body
    path("api/v1/models", ModelSet.as_view({"get": "list", "post": "create"})),
    path("api/v1/models/<str:model_name>", ModelSet.as_view({"get": "retrieve", "delete": "destroy"})),
    # T17-T19
    path("api/v1/datasets", DatasetSet.as_view({"get": "list", "post": "create"})),
    path("api/v1/datasets/<str:dataset_name>", DatasetSet.as_view({"get": "retrieve"})),
]
