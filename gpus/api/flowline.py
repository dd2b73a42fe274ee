"""F1-F3, F11, F12: GPUs and the machine, from the samples of the agent."""

import platform
import time
from typing import Any

import psutil
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers as s
from rest_framework.request import Request

from gpus.host import newest_host_sample
from gpus.inventory import node_name
from gpus.models import Gpu
from gpus.switches import flip
from mlserver.accounts.scopes import Scope
from mlserver.api.flowline_view import FlowlineView, by_key
from mlserver.api.reading import Row
from mlserver.api.rendering import json_response
from mlserver.errors import BadRequest, NotFound, shown
from mlserver.prepared import Prepared
from mlserver.started import STARTED_AT
from training.api.flowline.process_json import process_rows, render_process
from training.models.run import ACTIVE

TAGS = ["flowline"]
GIB = 1024**3
OF_NODE = Prepared(lambda name: Gpu.objects.filter(node__name=name).order_by("index", "-is_present"))
GPU = OpenApiParameter("gpu_id", int, "path", description="index of the GPU")


class GpuProcessItem(s.Serializer[Row]):
    pid = s.IntegerField()
    user = s.CharField()
    command = s.CharField()
    used_memory = s.CharField(allow_null=True, help_text="`3010MB`")


class FlowlineGpu(s.Serializer[Row]):
    used_memory = s.CharField(allow_null=True, help_text="`3172MB`")
    processes = GpuProcessItem(many=True, help_text="compute processes, whoever started them")
    name = s.CharField()
    status = s.ChoiceField(["available", "disabled"])
    total_memory = s.FloatField(help_text="MiB")
    free_memory = s.FloatField(allow_null=True, help_text="MiB")
    utilization = s.IntegerField(allow_null=True, help_text="%")
    temperature = s.IntegerField(allow_null=True, help_text="degrees Celsius")
    power = s.FloatField(allow_null=True, help_text="W")
    max_power = s.JSONField(help_text='W, or "?"')
    user_process_num = s.IntegerField(help_text="compute processes of this server")
    all_process_num = s.IntegerField()


class ProcessOnGpu(s.Serializer[Row]):
    user = s.CharField()
    command = s.CharField()
    process_id = s.IntegerField(allow_null=True, help_text="null: not started by this server")
    pid = s.IntegerField()
    task_id = s.IntegerField(allow_null=True)
    gpu_id = s.IntegerField()
    status = s.CharField()
    start_time = s.FloatField(allow_null=True)
    cmd = s.CharField()
    func = s.CharField()
    managed = s.BooleanField(help_text="started by this server")


class Switched(s.Serializer[Row]):
    gpu_id = s.CharField()
    success = s.BooleanField()
    is_on = s.BooleanField(allow_null=True)


class Uptime(s.Serializer[Row]):
    days = s.IntegerField()
    hours = s.IntegerField()
    minutes = s.IntegerField()
    seconds = s.IntegerField()


class GpuList(FlowlineView):
    @extend_schema(tags=TAGS, operation_id="flowline_gpus", summary="All GPUs by index", responses=by_key(FlowlineGpu))
    def get(self, request: Request) -> HttpResponse:
        """F1: from the newest sample, never from the driver itself."""
        return json_response({str(gpu.index): gpu_json(gpu) for gpu in OF_NODE.all(node_name())})


class GpuProcesses(FlowlineView):
    @extend_schema(
        tags=TAGS, operation_id="flowline_gpu_processes", summary="Processes on one GPU, by PID", parameters=[GPU],
        responses=by_key(ProcessOnGpu),
    )  # fmt: skip
    def get(self, request: Request, gpu_id: str) -> HttpResponse:
        """F2."""
        gpu = find_gpu(gpu_id)
        seen = gpu.processes
        rows = process_rows().filter(pid__in=[it["pid"] for it in seen], run__status__in=ACTIVE)
        managed = {row["pid"]: render_process(row) for row in rows}
        return json_response({str(it["pid"]): on_gpu_json(it, gpu, managed.get(it["pid"])) for it in seen})


class GpuSwitchView(FlowlineView):
    required_scope = Scope.ADMIN.value

    @extend_schema(
        tags=TAGS, operation_id="flowline_gpu_switch", summary="Turn a GPU on or off", parameters=[GPU], request=None,
        responses=Switched,
    )  # fmt: skip
    def post(self, request: Request, gpu_id: str) -> HttpResponse:
        """F3: needs scope admin. Off: what runs there goes on, nothing new is placed, by any door."""
        try:
            gpu = find_gpu(gpu_id)
        except NotFound as error:
            refused = {"gpu_id": gpu_id, "success": False, "is_on": None, "error": error.message}
            return json_response(refused, status=404)
        return json_response({"gpu_id": gpu_id, "success": True, "is_on": flip(gpu)})


class SystemLine(FlowlineView):
    @extend_schema(
        tags=TAGS, operation_id="flowline_system", summary="The machine in a line",
        responses={(200, "text/plain"): OpenApiTypes.STR},
    )  # fmt: skip
    def get(self, request: Request) -> HttpResponse:
        """F11."""
        system, cores = platform.uname(), psutil.cpu_count() or 1
        memory_gib = round(newest_host_sample(node_name()).total_memory_bytes / GIB, 2)
        line = f"{system.system} {system.release}, CPU: {cores} cores, Memory: {memory_gib} GB"
        return HttpResponse(line, content_type="text/plain; charset=utf-8")


class SystemUptime(FlowlineView):
    @extend_schema(
        tags=TAGS, operation_id="flowline_uptime", summary="How long the server has been up", responses=Uptime
    )
    def get(self, request: Request) -> HttpResponse:
        """F12."""
        minutes, seconds = divmod(int(time.monotonic() - STARTED_AT), 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        return json_response({"days": days, "hours": hours, "minutes": minutes, "seconds": seconds})


def find_gpu(text: str) -> Gpu:
    """Raises BadRequest for what is no index, NotFound."""
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise BadRequest(f"gpu_id: {shown(text)} is not a whole number")
    found = Gpu.objects.filter(node__name=node_name(), index=int(text)).order_by("-is_present").first()
    if found is None:
        raise NotFound(f"there is no GPU {text}")
    return found


def gpu_json(gpu: Gpu) -> Row:
    """What the driver does not say is null; a device that answers no more keeps what it said last."""
    used = gpu.used_memory_mib
    is_available = gpu.is_enabled and gpu.is_present and gpu.is_sampled
    return {
        "used_memory": megabytes(used),
        "processes": [process_json(it) for it in gpu.processes],
        "name": gpu.name,
        "status": "available" if is_available else "disabled",
        "total_memory": float(gpu.memory_mib),
        "free_memory": None if used is None else float(max(gpu.memory_mib - used, 0)),
        "utilization": whole(gpu.utilization_percent),
        "temperature": whole(gpu.temperature_c),
        "power": gpu.power_w,
        "max_power": "?" if gpu.power_limit_w is None else gpu.power_limit_w,
        "user_process_num": sum(it["is_ours"] for it in gpu.processes),
        "all_process_num": len(gpu.processes),
    }


def process_json(seen: dict[str, Any]) -> Row:
    return {
        "pid": seen["pid"],
        "user": seen["user"],
        "command": seen["command"],
        "used_memory": megabytes(seen["used_memory_mib"]),
    }


def on_gpu_json(seen: dict[str, Any], gpu: Gpu, managed: Row | None) -> Row:
    row: Row = {
        "user": seen["user"],
        "command": seen["command"],
        "process_id": None,
        "pid": seen["pid"],
        "task_id": None,
        "gpu_id": gpu.index,
        "status": "running",
        "start_time": seen["started_at_s"],
        "cmd": seen["command"],
        "func": seen["command"],
        "managed": seen["is_ours"],
    }
    if managed is not None:
        row |= {name: managed[name] for name in ("process_id", "task_id", "status", "start_time")}
    return row


def megabytes(mib: int | None) -> str | None:
    return None if mib is None else f"{mib}MB"


def whole(number: float | None) -> int | None:
    return None if number is None else round(number)
