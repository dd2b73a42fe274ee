"""Tasks in the Django admin."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils.html import format_html

from mlserver.errors import ServerError
from training.admin.records import RecordAdmin, ServiceForm, changed
from training.models import DispatchLoop, Task
from training.queue import control
from training.queue.scheduler import schedule_and_launch


class TaskForm(ServiceForm):
    def check_change(self, changed: dict[str, object]) -> None:
        """A field that was open when the page was shown, and is no more, is named: it would be ignored silently."""
        task: Task = self.instance
        for name in TaskAdmin.while_not_active:
            if name not in self.fields and self.data.get(name, str(getattr(task, name))) != str(getattr(task, name)):
                self.add_error(None, f"{name} keeps {getattr(task, name)}: the task is {task.status} by now")
        control.columns_of_change(task, changed)


@admin.register(Task)
class TaskAdmin(RecordAdmin):
    list_display = (
        "id", "name", "project", "owner", "status", "waiting_reason", "gpus", "priority", "source", "created_at",
        "started_at", "ended_at",
    )  # fmt: skip
    list_display_links = ("id", "name")
    list_filter = ("status", "source", "pool", "queue", "is_demo", ("deleted_at", admin.EmptyFieldListFilter))
    list_select_related = ("owner",)
    search_fields = ("=id", "name", "project", "owner__username", "job_id", "array_id")
    date_hierarchy = "created_at"
    form = TaskForm
    while_not_active = ("priority", "pool", "queue")
    editable = ("name", "tags", *while_not_active)
    actions = ("stop", "hold", "release", "retry", "delete_softly")

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        late = () if isinstance(obj, Task) and control.is_changeable(obj) else self.while_not_active
        return ["all_runs", *super().get_readonly_fields(request, obj), *late]

    @admin.display(description="runs")
    def all_runs(self, task: Task) -> str:
        """A link: a task may have thousands of runs."""
        url = reverse("admin:training_run_changelist", query={"task__id__exact": task.pk})
        count = task.runs.count()
        return format_html('<a href="{}">{} run{}</a>', url, count, pluralize(count))

    def get_exclude(self, request: HttpRequest, obj: Task | None = None) -> list[str]:
        """Values of the environment may be secrets: the owner's and administrators' to see."""
        may_see = request.user.is_superuser or (obj is not None and obj.owner_id == request.user.pk)
        return [] if may_see else ["env"]

    def save_model(self, request: HttpRequest, obj: Task, form: "forms.ModelForm[Task]", change: bool) -> None:
        """By the service, so that the rules hold and the line is looked at again."""
        control.change_task(obj, changed(form))

    @admin.action(description="Stop the selected tasks", permissions=["change"])
    def stop(self, request: HttpRequest, queryset: "QuerySet[Task]") -> None:
        why = f"stopped by {request.user} in the admin"
        self._each(request, queryset, lambda task: control.stop_task(task, why))

    @admin.action(description="Hold the selected tasks", permissions=["change"])
    def hold(self, request: HttpRequest, queryset: "QuerySet[Task]") -> None:
        self._each(request, queryset, control.hold_task)

    @admin.action(description="Release the selected tasks", permissions=["change"])
    def release(self, request: HttpRequest, queryset: "QuerySet[Task]") -> None:
        self._each(request, queryset, control.release_task)

    @admin.action(description="Run the selected ended tasks again", permissions=["change"])
    def retry(self, request: HttpRequest, queryset: "QuerySet[Task]") -> None:
        self._each(request, queryset, control.retry_task)

    @admin.action(description="Hide the selected ended tasks from the lists", permissions=["change"])
    def delete_softly(self, request: HttpRequest, queryset: "QuerySet[Task]") -> None:
        self._each(request, queryset, control.delete_task)

    def _each(self, request: HttpRequest, queryset: "QuerySet[Task]", act: Callable[[Task], object]) -> None:
        """Act on each task; those in another state are named, the others go on."""
        done = sum(self._say_errors(request, lambda task=task: act(task)) for task in queryset)  # type: ignore[misc]
        messages.success(request, f"Done for {done} of {len(queryset)} tasks.")

    def _say_errors(self, request: HttpRequest, act: Callable[[], object]) -> bool:
        try:
            act()
        except ServerError as error:
            messages.error(request, error.message)
            return False
        return True


@admin.register(DispatchLoop)
class DispatchLoopAdmin(RecordAdmin):
    list_display = ("id", "is_on", "max_processes", "min_free_mib")
    editable = ("is_on", "max_processes", "min_free_mib")

    def save_model(self, request: HttpRequest, obj: DispatchLoop, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        schedule_and_launch()
