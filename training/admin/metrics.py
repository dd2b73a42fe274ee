"""The metrics store in the Django admin: what there is of a run, without the packed bytes."""

from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest

from training.admin.records import RecordAdmin
from training.models import MetricChunk, MetricFile, MetricGroup, MetricWord


@admin.register(MetricGroup)
class MetricGroupAdmin(RecordAdmin):
    list_display = ("id", "run", "stream", "digest", "rows")
    list_select_related = ("run",)
    search_fields = ("run__id",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[MetricGroup]":
        """The names may be thousands; only the page of one group shows them."""
        return super().get_queryset(request).defer("columns")


@admin.register(MetricChunk)
class MetricChunkAdmin(RecordAdmin):
    list_display = fields = ("id", "group", "number", "rows", "first_step", "last_step", "is_ascending")
    list_select_related = ("group",)
    search_fields = ("group__run__id",)

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        return list(self.fields)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[MetricChunk]":
        return super().get_queryset(request).only(*self.fields, "group__run", "group__digest")


@admin.register(MetricWord)
class MetricWordAdmin(RecordAdmin):
    list_display = ("id", "run", "code", "value")
    list_select_related = ("run",)
    search_fields = ("run__id",)


@admin.register(MetricFile)
class MetricFileAdmin(RecordAdmin):
    list_display = ("id", "run", "name", "offset", "rows", "bad_records", "problem")
    list_select_related = ("run",)
    search_fields = ("run__id", "name")
