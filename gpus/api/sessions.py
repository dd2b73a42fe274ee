"""T12: how busy the machine and its GPUs are."""

from collections.abc import Iterable

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as s
from rest_framework.request import Request
from rest_framework.views import APIView

from gpus.host import HostSample, newest_host_sample
from gpus.inventory import node_name
from gpus.models import Gpu
from mlserver.api.negotiation import WhateverIsAccepted
from mlserver.api.reading import Row
from mlserver.api.rendering import OrjsonRenderer, json_response

MIB, GIB = 1024**2, 1024**3


class SystemInfoAnswer(s.Serializer[Row]):
    """`_mb` are bytes / 1024², `_gb` bytes / 1024³."""

    cpu_usage_percent = s.FloatField()
    memory_percent = s.FloatField()
    memory_used_mb = s.FloatField()
    memory_total_mb = s.FloatField()
    disk_free_gb = s.FloatField(help_text="file system of MODELS_DIR")
    disk_total_gb = s.FloatField()
    gpu_available = s.BooleanField()
    gpu_usage_percent = s.FloatField(allow_null=True, help_text="mean over all GPUs")
    gpu_memory_used_mb = s.FloatField(allow_null=True, help_text="sum over all GPUs")
    gpu_memory_total_mb = s.FloatField(allow_null=True, help_text="sum over all GPUs")
    timestamp = s.DateTimeField(help_text="of the sample")


class SystemInfo(APIView):
    renderer_classes = (OrjsonRenderer,)
    content_negotiation_class = WhateverIsAccepted

    @extend_schema(
        tags=["training"],
        operation_id="system_info",
        summary="Use of CPU, memory, disk and GPUs",
        description="As sampled in the background every 5 s. Without GPU the three GPU fields are null.",
        responses=SystemInfoAnswer,
    )
    def get(self, request: Request) -> HttpResponse:
        name = node_name()
        gpus = Gpu.objects.filter(node__name=name, is_present=True)
        seen = list(gpus.values_list("utilization_percent", "used_memory_mib", "memory_mib"))
        return json_response(render_host(newest_host_sample(name)) | render_gpus(seen))


def render_host(sample: HostSample) -> Row:
    return {
        "cpu_usage_percent": sample.cpu_usage_percent,
        "memory_percent": 100 * sample.used_memory_bytes / sample.total_memory_bytes,
        "memory_used_mb": sample.used_memory_bytes / MIB,
        "memory_total_mb": sample.total_memory_bytes / MIB,
        "disk_free_gb": sample.disk_free_bytes / GIB,
        "disk_total_gb": sample.disk_total_bytes / GIB,
        "timestamp": sample.host_sampled_at,
    }


def render_gpus(seen: Iterable[tuple[float | None, int | None, int]]) -> Row:
    """`seen`: utilization in percent, used and whole memory in MiB of each device; what no driver says is left out."""
    rows = list(seen)
    loads = [load for load, _, _ in rows if load is not None]
    used = [mib for _, mib, _ in rows if mib is not None]
    return {
        "gpu_available": bool(rows),
        "gpu_usage_percent": sum(loads) / len(loads) if loads else None,
        "gpu_memory_used_mb": float(sum(used)) if used else None,
        "gpu_memory_total_mb": float(sum(mib for _, _, mib in rows)) if rows else None,
    }
