"""R44, R53: the GPUs of this machine, as its agent sampled them last."""

from datetime import datetime

from django.db.models import Count, Max, Q
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as s
from rest_framework.request import Request

from gpus.inventory import node_name
from gpus.models import SILENT_AFTER, Gpu, Node
from mlserver.api.reading import Row
from mlserver.api.rendering import json_response
from mlserver.api.runicorn_view import RunicornView


class GpuItem(s.Serializer[Row]):
    """Null where the driver does not say."""

    index = s.IntegerField()
    name = s.CharField()
    util_gpu = s.FloatField(allow_null=True, help_text="%")
    util_mem = s.FloatField(allow_null=True, help_text="%")
    mem_total_mib = s.FloatField(allow_null=True)
    mem_used_mib = s.FloatField(allow_null=True)
    mem_used_pct = s.FloatField(allow_null=True, help_text="0-100")
    temp_c = s.FloatField(allow_null=True)
    power_w = s.FloatField(allow_null=True)
    power_limit_w = s.FloatField(allow_null=True, help_text="the limit that is enforced")
    clock_sm_mhz = s.FloatField(allow_null=True)
    clock_mem_mhz = s.FloatField(allow_null=True)
    pstate = s.CharField(allow_null=True, help_text="P0, the fastest, to P15")
    fan_speed_pct = s.FloatField(allow_null=True)


class GpuTelemetryAnswer(s.Serializer[Row]):
    available = s.BooleanField()
    ts = s.FloatField(required=False, help_text="of the sample, in seconds since 1970")
    gpus = GpuItem(many=True, required=False)
    reason = s.CharField(required=False, help_text="why none is available")


class GpuTelemetry(RunicornView):
    @extend_schema(
        tags=["runicorn"],
        summary="State of the GPUs of this machine",
        description="Sampled each second in the background; no call asks the driver.",
        responses=GpuTelemetryAnswer,
    )
    def get(self, request: Request) -> HttpResponse:
        gpus = Gpu.objects.filter(node__name=node_name(), is_present=True)
        fresh = list(gpus.filter(sampled_at__gte=timezone.now() - SILENT_AFTER).order_by("index"))
        if not fresh:
            return json_response({"available": False, "reason": why_none()})
        newest = max(gpu.sampled_at for gpu in fresh if gpu.sampled_at)
        return json_response({"available": True, "ts": newest.timestamp(), "gpus": [gpu_item(gpu) for gpu in fresh]})


def why_none() -> str:
    """What keeps this machine from showing a GPU, in words."""
    node = Node.objects.filter(name=node_name()).first()
    if node is None or not node.is_reporting:
        return f"The agent of this machine does not report: {_since(node.agent_seen_at if node else None)}"
    known = node.gpus.aggregate(newest=Max("sampled_at"), count=Count("pk"), present=Count("pk", Q(is_present=True)))
    if not known["count"]:
        return "No GPU is known on this machine, or its driver is not loaded"
    return f"The driver {'does not answer' if known['present'] else 'lists no GPU'}: {_since(known['newest'])}"


def _since(at: datetime | None) -> str:
    return f"the last sign of it was at {at:%Y-%m-%d %H:%M:%S} UTC" if at else "there was no sign of it yet"


def gpu_item(gpu: Gpu) -> Row:
    total, used = gpu.memory_mib or None, gpu.used_memory_mib
    return {
        "index": gpu.index,
        "name": gpu.name,
        "util_gpu": gpu.utilization_percent,
        "util_mem": gpu.memory_utilization_percent,
        "mem_total_mib": _number(total),
        "mem_used_mib": _number(used),
        "mem_used_pct": min(100.0, 100 * used / total) if total and used is not None else None,
        "temp_c": gpu.temperature_c,
        "power_w": gpu.power_w,
        "power_limit_w": gpu.power_limit_w,
        "clock_sm_mhz": gpu.sm_clock_mhz,
        "clock_mem_mhz": gpu.memory_clock_mhz,
        "pstate": gpu.performance_state or None,
        "fan_speed_pct": gpu.fan_speed_percent,
    }


def _number(value: int | None) -> float | None:
    return None if value is None else float(value)
