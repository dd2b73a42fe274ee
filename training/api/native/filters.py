"""Query filters of the native lists; drf-spectacular documents them from here."""

# mypy: disable-error-code="misc"
# django-filter has no types, so its classes are Any to the checker.

from typing import Any

import django_filters as filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from mlserver.api.parsing import FALSE, TRUE
from training.models import EventType, ExitClass, RunStatus, Source, TaskStatus


class StrictBooleanField(forms.Field):
    """`true`, `false`, `1`, `0`; Django's own field takes any other word for "not asked"."""

    def clean(self, value: Any) -> bool | None:
        if value in (None, ""):
            return None
        if str(value).lower() in TRUE + FALSE:
            return str(value).lower() in TRUE
        raise ValidationError(f"{value!r} must be one of true, false, 1, 0")


class Flag(filters.BooleanFilter):
    field_class = StrictBooleanField


class StillHeld(Flag):
    """True: rows whose end (`field_name`) is not yet; false: the others."""

    def filter(self, qs: "QuerySet[Any, Any]", value: bool | None) -> "QuerySet[Any, Any]":
        return qs if value is None else qs.filter(**{f"{self.field_name}__isnull": value})


class Tag(filters.CharFilter):
    """Rows with exactly this tag."""

    def filter(self, qs: Any, value: str) -> Any:
        return qs.tagged(value) if value else qs


class Created(filters.FilterSet):
    created_after = filters.IsoDateTimeFilter("created_at", "gte", label="created at or after this instant")
    created_before = filters.IsoDateTimeFilter("created_at", "lt", label="created before this instant")


class TaskFilters(Created):
    status = filters.MultipleChoiceFilter(choices=TaskStatus.choices, label="repeat it for several")
    owner = filters.CharFilter("owner__username", label="user name")
    project = filters.CharFilter()
    source = filters.ChoiceFilter(choices=Source.choices, label="the door it came in by")
    pool = filters.CharFilter()
    queue = filters.CharFilter()
    tag = Tag("tags", label="exactly this tag")
    search = filters.CharFilter("name", "icontains", label="part of the name")


class RunFilters(Created):
    status = filters.MultipleChoiceFilter(choices=RunStatus.choices, label="repeat it for several")
    exit_class = filters.MultipleChoiceFilter(choices=ExitClass.choices, label="repeat it for several")
    task = filters.NumberFilter("task_id", label="id of its task")
    owner = filters.CharFilter("owner__username", label="user name")
    project = filters.CharFilter()
    source = filters.ChoiceFilter(choices=Source.choices, label="the door it came in by")
    node = filters.CharFilter("node__name", label="name of its node")
    tag = Tag("tags", label="exactly this tag")
    search = filters.CharFilter("name", "icontains", label="part of the name")


class ProcessFilters(filters.FilterSet):
    run = filters.CharFilter("run_id")
    task = filters.NumberFilter("run__task_id")
    active = StillHeld("ended_at", label="has not ended")


class EventFilters(filters.FilterSet):
    type = filters.ChoiceFilter(choices=EventType.choices)
    reason = filters.CharFilter(label="one CamelCase word, e.g. Started")
    task = filters.NumberFilter("task_id")
    run = filters.CharFilter("run_id")


class LeaseFilters(filters.FilterSet):
    run = filters.CharFilter("run_id")
    task = filters.NumberFilter("run__task_id")
    gpu = filters.NumberFilter("gpu_id", label="id of the GPU")
    active = StillHeld("released_at", label="has not been released")
