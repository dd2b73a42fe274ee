"""Pools, queues and limits of users in the Django admin: the pages where they are made, changed and deleted."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest

from gpus.models import Pool
from mlserver.enqueue import enqueue
from mlserver.errors import Invalid
from training.admin.records import RecordAdmin, ServiceForm
from training.admin.records import changed as written
from training.models import Queue, TaskDependency, TaskSchedule, UserLimits
from training.queue import pools, queues, schedules
from training.queue.line import renew_turns
from training.queue.spec import checked


class NamedForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Names and numbers by the rules of the API."""

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        rules = {name: rule for name, rule in queues.RULES.items() if name in data}
        try:
            checked(data, rules)
        except Invalid as error:
            for name, said in error.errors.items():
                self.add_error(name, said)
        return data


class NamedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """What tasks name: the name stays, and nothing that is in use goes."""

    form = NamedForm
    noun = ""
    search_fields = ("name", "description")

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Deleting several at once would not ask whether they are in use."""
        return {}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["created_at"] + ([] if obj is None else ["name"])

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and (obj.is_default or pools.in_use(self.noun, obj.name)):
            return False
        return super().has_delete_permission(request, obj)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        enqueue("training.queue.tasks.schedule")


@admin.register(Pool)
class PoolAdmin(NamedAdmin):
    noun = "pool"
    list_display = ("name", "description", "created_at")
    filter_horizontal = ("nodes", "gpus")

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """The default pool holds everything: there is nothing to choose."""
        return ["nodes", "gpus"] if obj is not None and obj.is_default else []


@admin.register(Queue)
class QueueAdmin(NamedAdmin):
    noun = "queue"
    list_display = ("name", "priority", "max_gpus", "max_running", "description")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "priority"] if obj is not None and obj.is_default else fields

    def save_model(self, request: HttpRequest, obj: Queue, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "priority" in form.changed_data and (moved := renew_turns(obj)):
            messages.info(request, f"{moved} tasks have another place in the line.")


@admin.register(UserLimits)
class UserLimitsAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("user", "max_gpus", "max_running")
    list_select_related = ("user",)
    search_fields = ("user__username",)

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        return [] if obj is None else ["user"]

    def save_model(self, request: HttpRequest, obj: UserLimits, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        enqueue("training.queue.tasks.schedule")

    def delete_model(self, request: HttpRequest, obj: UserLimits) -> None:
        queues.delete_limits(obj)

    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[UserLimits]") -> None:
        for limits in queryset:
            queues.delete_limits(limits)


class TaskScheduleForm(ServiceForm):
    def check_change(self, changed: dict[str, object]) -> None:
        names = {column: name for name, column in schedules.COLUMNS.items()}
        checked({names.get(name, name): value for name, value in changed.items()}, schedules.RULES)


@admin.register(TaskSchedule)
class TaskScheduleAdmin(RecordAdmin):
    """Made over HTTP; changed, paused and deleted here too."""

    list_display = ("name", "owner", "cron", "timezone", "is_paused", "next_at", "last_at", "last_said")
    list_filter = ("is_paused", "missed", "overlap")
    list_select_related = ("owner",)
    search_fields = ("name", "owner__username", "cron")
    form = TaskScheduleForm
    editable = ("name", "cron", "timezone", "missed", "overlap", "is_paused")

    def get_exclude(self, request: HttpRequest, obj: TaskSchedule | None = None) -> list[str]:
        """Values of an environment in the template may be secrets."""
        may_see = request.user.is_superuser or (obj is not None and obj.owner_id == request.user.pk)
        return [] if may_see else ["template"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def save_model(self, request: HttpRequest, obj: TaskSchedule, form: Any, change: bool) -> None:
        names = {column: name for name, column in schedules.COLUMNS.items()}
        schedules.change_schedule(obj, {names.get(name, name): value for name, value in written(form).items()})


@admin.register(TaskDependency)
class TaskDependencyAdmin(RecordAdmin):
    list_display = ("task", "needs", "condition", "is_met")
    list_filter = ("condition", "is_met")
    list_select_related = ("task", "needs")
    search_fields = ("=task__id", "=needs__id")
