"""Query filters of the native lists; drf-spectacular documents them from here."""

# mypy: disable-error-code="misc"
# django-filter has no types, so its classes are Any to the checker.

from typing import Any

import django_filters as filters
from django.db.models import QuerySet

from mlserver.api.filtering import Filters, Flag, Id, WholeField
from training.models import EventType, ExitClass, RunStatus, Source, TaskStatus


class Whole(filters.NumberFilter):
    """A whole number."""

    field_class = WholeField


class StillHeld(Flag):
    """True: rows whose end (`field_name`) is not yet; false: the others."""

    def filter(self, qs: "QuerySet[Any, Any]", value: bool | None) -> "QuerySet[Any, Any]":
        return qs if value is None else qs.filter(**{f"{self.field_name}__isnull": value})


class Tag(filters.CharFilter):
    """Rows with exactly this tag."""

    def filter(self, qs: Any, value: str) -> Any:
        return qs.tagged(value) if value else qs


class Label(filters.CharFilter):
    """Rows with exactly this label: `key=value`."""

    def filter(self, qs: Any, value: str) -> Any:
        key, _, word = value.partition("=")
        return qs.labelled(key, word) if value else qs


class Array(filters.CharFilter):
    """Tasks of this array."""

    def filter(self, qs: Any, value: str) -> Any:
        return qs.of_array(value) if value else qs


class Created(Filters):
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
    label = Label("labels", label="key=value, exactly this label")
    array = Array("array_id", label="id of an array")
    schedule = Id("schedule_id", label="id of the schedule that submitted it")
    job_id = filters.CharFilter(label="public name")
    search = filters.CharFilter("name", "icontains", label="part of the name")


class RunFilters(Created):
    status = filters.MultipleChoiceFilter(choices=RunStatus.choices, label="repeat it for several")
    exit_class = filters.MultipleChoiceFilter(choices=ExitClass.choices, label="repeat it for several")
    task = Id("task_id", label="id of its task")
    owner = filters.CharFilter("owner__username", label="user name")
    project = filters.CharFilter()
    source = filters.ChoiceFilter(choices=Source.choices, label="the door it came in by")
    node = filters.CharFilter("node__name", label="name of its node")
    tag = Tag("tags", label="exactly this tag")
    search = filters.CharFilter("name", "icontains", label="part of the name")


class ProcessFilters(Filters):
    run = filters.CharFilter("run_id")
    task = Id("run__task_id")
    active = StillHeld("ended_at", label="has not ended")


class EventFilters(Filters):
    type = filters.ChoiceFilter(choices=EventType.choices)
    reason = filters.CharFilter(label="one CamelCase word, e.g. Started")
    task = Id("task_id")
    run = filters.CharFilter("run_id")


class LeaseFilters(Filters):
    run = filters.CharFilter("run_id")
    task = Id("run__task_id")
    gpu = Id("gpu_id", label="id of the GPU")
    active = StillHeld("released_at", label="has not been released")


class MediaFilters(Filters):
    key = filters.CharFilter(label="exactly this key")
    step = Whole(label="logged at this step")
    name = filters.CharFilter(label="exactly this file name")
