"""N13, the machine's side: nodes and GPUs, and the switch of a GPU."""

from typing import Any

import django_filters as filters
from django.db.models import Count, Q
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers as s
from rest_framework.request import Request
from rest_framework.response import Response

from gpus.availability import why_not_schedulable
from gpus.models import DEFAULT_POOL, Gpu, Node
from gpus.switches import switch
from mlserver.accounts.scopes import Scope
from mlserver.api.filtering import Filters, Flag
from mlserver.api.reading import ReadSet, Row
from mlserver.errors import Invalid, shown


class NodeAnswer(s.Serializer[Row]):
    """Documents a node; the views build the rows themselves."""

    id = s.IntegerField()
    name = s.CharField(help_text="host name")
    pools = s.ListField(child=s.CharField(), help_text="names of the pools it is in as a whole")
    enabled = s.BooleanField(help_text="false: nothing new is placed here")
    cpu_slots = s.IntegerField()
    memory_mib = s.IntegerField(help_text="memory that tasks may reserve")
    driver_version = s.CharField(help_text="empty without a GPU driver")
    boot_id = s.CharField()
    gpus = s.IntegerField(help_text="how many the driver lists at present")
    agent_seen_at = s.DateTimeField(allow_null=True)
    is_reporting = s.BooleanField(help_text="the agent was heard of in the last 10 seconds")


class Quarantine(s.Serializer[Row]):
    at = s.DateTimeField()
    reason = s.CharField()


class GpuSample(s.Serializer[Row]):
    """Null where the driver does not say."""

    at = s.DateTimeField(allow_null=True)
    used_memory_mib = s.IntegerField(allow_null=True)
    foreign_memory_mib = s.IntegerField(help_text="held by processes this server did not start")
    foreign_process_count = s.IntegerField()
    utilization_percent = s.FloatField(allow_null=True)
    temperature_c = s.FloatField(allow_null=True)
    power_w = s.FloatField(allow_null=True)


class GpuAnswer(s.Serializer[Row]):
    """Documents a GPU; the views build the rows themselves."""

    id = s.IntegerField()
    node = s.CharField(help_text="name of its node")
    index = s.IntegerField(help_text="the driver's number of the device")
    uuid = s.CharField()
    name = s.CharField()
    memory_mib = s.IntegerField(help_text="memory that programs can allocate")
    enabled = s.BooleanField(help_text="false: nothing new is placed here, by any door")
    present = s.BooleanField(help_text="the driver lists it")
    simulated = s.BooleanField()
    quarantine = Quarantine(allow_null=True)
    sample = GpuSample()
    is_schedulable = s.BooleanField(help_text="takes work, as far as no lease holds it")
    reason = s.CharField(help_text="why it takes no work; empty when it does")


class GpuSwitch(s.Serializer[Row]):
    enabled = s.BooleanField()


class InPool(filters.CharFilter):  # type: ignore[misc]  # django-filter has no types
    """Nodes that are in this pool as a whole; all are in the default one."""

    def filter(self, qs: Any, value: str) -> Any:
        return qs if value in ("", DEFAULT_POOL) else qs.filter(pools__name=value)


class NodeFilters(Filters):
    name = filters.CharFilter()
    pool = InPool(label="name of a pool")
    enabled = Flag("is_enabled")


class GpuFilters(Filters):
    node = filters.CharFilter("node__name", label="name of its node")
    enabled = Flag("is_enabled")
    present = Flag("is_present")
    quarantined = Flag("quarantined_at", "isnull", exclude=True)


@extend_schema_view(
    list=extend_schema(tags=["nodes"], summary="All nodes", responses=NodeAnswer(many=True)),
    retrieve=extend_schema(tags=["nodes"], summary="One node", responses=NodeAnswer),
)
class NodeSet(ReadSet):
    """Machines that run work, and whether their agents report."""

    noun = "node"
    queryset = Node.objects.annotate(
        present_gpus=Count("gpus", filter=Q(gpus__is_present=True), distinct=True)
    ).prefetch_related("pools")
    serializer_class = NodeAnswer
    filterset_class = NodeFilters
    ordering = "id"
    ordering_fields = ("id", "name")

    def render(self, rows: list[Any]) -> list[Row]:
        return [node_row(node) for node in rows]


@extend_schema_view(
    list=extend_schema(tags=["gpus"], summary="All GPUs with their newest sample", responses=GpuAnswer(many=True)),
    retrieve=extend_schema(tags=["gpus"], summary="One GPU", responses=GpuAnswer),
)
class GpuSet(ReadSet):
    """Devices with what the driver last said of them, and why one takes no work."""

    noun = "GPU"
    queryset = Gpu.objects.select_related("node")
    serializer_class = GpuAnswer
    filterset_class = GpuFilters
    ordering = "id"
    ordering_fields = ("id", "index", "memory_mib", "used_memory_mib", "utilization_percent")
    required_scope = Scope.ADMIN.value

    def render(self, rows: list[Any]) -> list[Row]:
        return [gpu_row(gpu) for gpu in rows]

    @extend_schema(tags=["gpus"], summary="Switch a GPU on or off", request=GpuSwitch, responses=GpuAnswer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Needs scope admin. Off: what runs there goes on, nothing new is placed, whatever door it comes in by."""
        is_enabled = read_switch(request.data)
        self.read(pk)
        switch(Gpu.objects.filter(pk=pk), is_enabled=is_enabled)
        return Response(self.read(pk))


def read_switch(data: Any) -> bool:
    if "enabled" not in data:
        raise Invalid.field("enabled", "it is missing and must be true or false")
    if not isinstance(data["enabled"], bool):
        raise Invalid.field("enabled", f"{shown(data['enabled'])} must be true or false")
    return data["enabled"]


def node_row(node: Any) -> Row:
    """`node` with `present_gpus` and its pools."""
    return {
        "id": node.pk,
        "name": node.name,
        "pools": [DEFAULT_POOL, *sorted(pool.name for pool in node.pools.all() if not pool.is_default)],
        "enabled": node.is_enabled,
        "cpu_slots": node.cpu_slots,
        "memory_mib": node.memory_mib,
        "driver_version": node.driver_version,
        "boot_id": node.boot_id,
        "gpus": node.present_gpus,
        "agent_seen_at": node.agent_seen_at,
        "is_reporting": node.is_reporting,
    }


def gpu_row(gpu: Gpu) -> Row:
    reason = why_not_schedulable(gpu)
    quarantine = {"at": gpu.quarantined_at, "reason": gpu.quarantine_reason} if gpu.quarantined_at else None
    return {
        "id": gpu.pk,
        "node": gpu.node.name,
        "index": gpu.index,
        "uuid": gpu.uuid,
        "name": gpu.name,
        "memory_mib": gpu.memory_mib,
        "enabled": gpu.is_enabled,
        "present": gpu.is_present,
        "simulated": gpu.is_simulated,
        "quarantine": quarantine,
        "sample": sample_row(gpu),
        "is_schedulable": not reason,
        "reason": reason,
    }


def sample_row(gpu: Gpu) -> Row:
    return {
        "at": gpu.sampled_at,
        "used_memory_mib": gpu.used_memory_mib,
        "foreign_memory_mib": gpu.foreign_memory_mib,
        "foreign_process_count": gpu.foreign_process_count,
        "utilization_percent": gpu.utilization_percent,
        "temperature_c": gpu.temperature_c,
        "power_w": gpu.power_w,
    }
