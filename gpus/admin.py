"""Nodes and GPUs in the Django admin. Samples are the agent's to write and read-only here."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from gpus.availability import why_not_schedulable
from gpus.models import Gpu, Node
from gpus.switches import PASS, release_quarantines, switch
from mlserver.enqueue import enqueue


@admin.register(Node)
class NodeAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker only
    list_display = (
        "name", "is_enabled", "is_reporting", "gpu_count", "cpu_slots", "memory_mib", "driver_version",
        "agent_seen_at",
    )  # fmt: skip
    list_filter = ("is_enabled", "pools")
    search_fields = ("name", "boot_id", "driver_version")
    # Facts that every start reads again.
    readonly_fields = (
        "name", "boot_id", "cpu_slots", "memory_mib", "driver_version", "agent_seen_at", "host_sampled_at",
        "cpu_usage_percent", "used_memory_bytes", "total_memory_bytes", "disk_free_bytes", "disk_total_bytes",
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A machine registers itself."""
        return False

    def save_model(self, request: HttpRequest, obj: Node, form: Any, change: bool) -> None:
        """Only what was changed: the agent writes the other columns meanwhile."""
        obj.save(update_fields=form.changed_data)
        enqueue(PASS)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Node]:
        nodes: QuerySet[Node] = super().get_queryset(request)
        return nodes.annotate(gpu_count=Count("gpus"))

    @admin.display(boolean=True, description="agent reports")
    def is_reporting(self, node: Node) -> bool:
        return node.is_reporting

    @admin.display(description="GPUs", ordering="gpu_count")
    def gpu_count(self, node: Node) -> int:
        return int(getattr(node, "gpu_count"))  # noqa: B009  annotated above, unknown to the type checker


@admin.register(Gpu)
class GpuAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "__str__", "name", "uuid", "is_enabled", "is_present", "memory_mib", "used_memory_mib", "utilization_percent",
        "temperature_c", "foreign_process_count", "schedulable", "sampled_at",
    )  # fmt: skip
    list_filter = ("is_enabled", "is_present", "is_simulated", ("quarantined_at", admin.EmptyFieldListFilter), "node")
    list_select_related = ("node",)
    search_fields = ("uuid", "name", "node__name", "quarantine_reason")
    readonly_fields = (
        "node", "index", "uuid", "name", "memory_mib", "is_present", "is_simulated", "quarantined_at",
        "quarantine_reason", "sampled_at", "used_memory_mib", "foreign_memory_mib", "foreign_process_count",
        "utilization_percent", "temperature_c", "power_w", "memory_utilization_percent", "power_limit_w",
        "sm_clock_mhz", "memory_clock_mhz", "performance_state", "fan_speed_percent", "processes",
    )  # fmt: skip
    actions = ("enable", "disable", "release")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The driver lists the devices."""
        return False

    def save_model(self, request: HttpRequest, obj: Gpu, form: Any, change: bool) -> None:
        """By the service, which asks for a scheduling pass and leaves the columns of the agent alone."""
        switch(Gpu.objects.filter(pk=obj.pk), is_enabled=obj.is_enabled)

    @admin.display(description="takes work")
    def schedulable(self, gpu: Gpu) -> str:
        return why_not_schedulable(gpu) or "yes"

    @admin.action(description="Switch on: work may be placed here")
    def enable(self, request: HttpRequest, queryset: QuerySet[Gpu]) -> None:
        self.message_user(request, f"Switched on: {switch(queryset, is_enabled=True)}")

    @admin.action(description="Switch off: nothing new is placed here")
    def disable(self, request: HttpRequest, queryset: QuerySet[Gpu]) -> None:
        self.message_user(request, f"Switched off: {switch(queryset, is_enabled=False)}")

    @admin.action(description="Release from quarantine")
    def release(self, request: HttpRequest, queryset: QuerySet[Gpu]) -> None:
        self.message_user(request, f"Released: {release_quarantines(queryset)}")
