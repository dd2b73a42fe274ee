"""URL map of the Runicorn API, in the order of its document."""

from django.urls import path

from gpus.api.runicorn import GpuTelemetry

urlpatterns = [
    # R44
    path("api/gpu/telemetry", GpuTelemetry.as_view()),
    # R53
    path("api/gpu", GpuTelemetry.as_view()),
]
