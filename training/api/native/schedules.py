"""Schedules: tasks that are submitted at the times of a cron expression."""

from typing import Any

import django_filters as filters
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers as s
from rest_framework.request import Request
from rest_framework.response import Response

from mlserver.accounts.permissions import require_owner
from mlserver.api.filtering import Filters, Flag
from mlserver.api.idempotency import idempotent
from mlserver.api.reading import ReadSet, Row
from mlserver.errors import NotFound
from training.api.native.schemas import TaskAnswer
from training.api.native.task_json import Viewer, render_tasks, task_rows
from training.models import Missed, Overlap, TaskSchedule
from training.queue import schedules
from training.queue.cron import in_words


class ScheduleChange(s.Serializer[Row]):
    name = s.CharField(max_length=200, allow_blank=True, default="")
    cron = s.CharField(max_length=100, help_text="minute hour day month weekday, or @hourly @daily @weekly @monthly")
    timezone = s.CharField(max_length=64, default="UTC", help_text="whose local time counts, as Europe/Berlin")
    task = s.DictField(help_text="the fields of a submission, without depends_on")
    missed = s.ChoiceField(Missed.choices, default=Missed.ONCE, help_text="times at which the server did not run")
    overlap = s.ChoiceField(Overlap.choices, default=Overlap.ALLOW, help_text="when its last task has not ended")
    paused = s.BooleanField(default=False)


class ScheduleAnswer(ScheduleChange):
    id = s.IntegerField()
    owner = s.CharField(help_text="user name")
    in_words = s.CharField()
    next_at = s.DateTimeField(allow_null=True)
    last_at = s.DateTimeField(allow_null=True, help_text="the last time that was dealt with")
    last_said = s.CharField(help_text="why no task was submitted then")
    created_at = s.DateTimeField()


class ScheduleFilters(Filters):
    owner = filters.CharFilter("owner__username", label="user name")
    paused = Flag("is_paused")


@extend_schema_view(
    list=extend_schema(tags=["schedules"], summary="All schedules", description="With the next time of each."),
    retrieve=extend_schema(tags=["schedules"], summary="One schedule", description="Its tasks: `?schedule=` of tasks."),
)
class ScheduleSet(ReadSet):
    """Tasks that come again and again. Changing one takes its owner or an administrator."""

    noun = "schedule"
    queryset = TaskSchedule.objects.select_related("owner")
    serializer_class = ScheduleAnswer
    filterset_class = ScheduleFilters
    conflicting_actions = ("fire",)
    ordering_fields = ("id", "name", "next_at", "last_at")

    def render(self, rows: list[Any]) -> list[Row]:
        viewer = Viewer.of(self.request)
        return [schedule_row(schedule, viewer) for schedule in rows]

    @extend_schema(
        tags=["schedules"], summary="Make a schedule", request=ScheduleChange, responses={201: ScheduleAnswer}
    )
    @idempotent
    def create(self, request: Request) -> Response:
        """Its tasks are the caller's. Each time makes one task, also when the server is killed at that moment."""
        made = schedules.make_schedule(self.body, owner=self.caller)
        return Response(self.read(made.pk), status=201, headers={"Location": reverse("schedule", args=[made.pk])})

    @extend_schema(tags=["schedules"], summary="Change a schedule", request=ScheduleChange, responses=ScheduleAnswer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """`task` is replaced as a whole. Times count anew from now where `cron`, `timezone` or `paused` change."""
        schedules.change_schedule(self.own(pk), self.body)
        return Response(self.read(pk))

    @extend_schema(
        tags=["schedules"], summary="Delete a schedule", responses={204: OpenApiResponse(description="it is gone")}
    )
    def destroy(self, request: Request, pk: int) -> Response:
        """The tasks it has submitted stay."""
        self.own(pk).delete()
        return Response(status=204)

    @extend_schema(tags=["schedules"], summary="Submit its task now", request=None, responses={201: TaskAnswer})
    def fire(self, request: Request, pk: int) -> Response:
        """One task beside its times. 409 where it may not overlap and its last task has not ended."""
        task = schedules.fire_now(self.own(pk))
        [row] = render_tasks(list(task_rows().filter(pk=task.pk)), Viewer.of(request))
        return Response(row, status=201, headers={"Location": reverse("task", args=[task.pk])})

    def own(self, pk: int) -> TaskSchedule:
        """The schedule, when the caller may change it; raises NotFound and Forbidden."""
        schedule = TaskSchedule.objects.filter(pk=pk).select_related("owner").first()
        if schedule is None:
            raise NotFound(f"schedule {pk} does not exist")
        require_owner(self.request, schedule)
        return schedule


def schedule_row(schedule: TaskSchedule, viewer: Viewer) -> Row:
    """Values of the environment may be secrets: the owner's and administrators' to see."""
    task = dict(schedule.template)
    if "env" in task and not viewer.may_see_env(schedule.owner_id):
        task["env"] = dict.fromkeys(task["env"])
    columns = ("id", "name", "cron", "timezone", "missed", "overlap", "next_at", "last_at", "last_said", "created_at")
    return {
        **{name: getattr(schedule, name) for name in columns},
        "owner": schedule.owner.get_username(),
        "in_words": in_words(schedule.cron),
        "task": task,
        "paused": schedule.is_paused,
    }
