"""Tasks and runs in the Django admin. Status changes only through the services; nothing is deleted for good here."""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html

from mlserver.errors import Invalid, ServerError
from training.models import Event, Lease, Run, RunProcess, Series, Task
from training.queue import control
from training.queue.spec import checked
from training.records import ANNOTATIONS, annotate_run


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Asks the service that writes the change before it is written, so its objections stand at the fields."""

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        try:
            self.check_change({name: data[name] for name in self.changed_data if name in data})
        except Invalid as error:
            for name, said in error.errors.items():
                self.add_error(name if name in self.fields else None, said)
        except ServerError as error:
            self.add_error(None, error.message)
        return data

    def check_change(self, changed: dict[str, object]) -> None:
        raise NotImplementedError


class TaskForm(ServiceForm):
    def check_change(self, changed: dict[str, object]) -> None:
        """A field that was open when the page was shown, and is no more, is named: it would be ignored silently."""
        task: Task = self.instance
        for name in TaskAdmin.while_not_active:
            if name not in self.fields and self.data.get(name, str(getattr(task, name))) != str(getattr(task, name)):
                self.add_error(None, f"{name} keeps {getattr(task, name)}: the task is {task.status} by now")
        control.columns_of_change(task, changed)


class RunForm(ServiceForm):
    def check_change(self, changed: dict[str, object]) -> None:
        checked(changed, ANNOTATIONS)


class RecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Rows that the server writes: to look at. `editable` names what a person may change."""

    editable: Sequence[str] = ()
    # A count of the whole table with every page is slow once the table has grown.
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return bool(self.editable) and super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        return [field.name for field in self.model._meta.fields if field.name not in self.editable]

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """What another request made impossible since the form was checked is refused, and nothing is written."""
        try:
            return super().change_view(request, *args, **kwargs)
        except ServerError as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(request.get_full_path())


class RecordInline(admin.TabularInline):  # type: ignore[type-arg]  # not generic at run time
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


class ProcessesOfRun(RecordInline):
    model = RunProcess
    fields = readonly_fields = (
        "rank",
        "pid",
        "started_at",
        "ended_at",
        "exit_code",
        "exit_signal",
        "max_rss_mib",
        "cpu_s",
    )


class LeasesOfRun(RecordInline):
    model = Lease
    fields = readonly_fields = ("gpu", "memory_mib", "is_exclusive", "created_at", "released_at")


class SeriesOfRun(RecordInline):
    model = Series
    fields = readonly_fields = ("name", "count", "first", "last", "min", "max", "latest_step")


@admin.register(Task)
class TaskAdmin(RecordAdmin):
    list_display = (
        "id", "name", "project", "owner", "status", "waiting_reason", "gpus", "priority", "source", "created_at",
        "started_at", "ended_at",
    )  # fmt: skip
    list_display_links = ("id", "name")
    list_filter = ("status", "source", "pool", "queue", "is_demo", ("deleted_at", admin.EmptyFieldListFilter))
    list_select_related = ("owner",)
    search_fields = ("=id", "name", "project", "owner__username")
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
        return format_html('<a href="{}">{} runs</a>', url, task.runs.count())

    def get_exclude(self, request: HttpRequest, obj: Task | None = None) -> list[str]:
        """Values of the environment may be secrets: the owner's and administrators' to see."""
        may_see = request.user.is_superuser or (obj is not None and obj.owner_id == request.user.pk)
        return [] if may_see else ["env"]

    def save_model(self, request: HttpRequest, obj: Task, form: "forms.ModelForm[Task]", change: bool) -> None:
        """By the service, so that the rules hold and the line is looked at again."""
        control.change_task(obj, _changed(form))

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


@admin.register(Run)
class RunAdmin(RecordAdmin):
    list_display = (
        "id", "name", "project", "owner", "status", "exit_class", "exit_code", "node", "attempt", "is_stale",
        "started_at", "ended_at",
    )  # fmt: skip
    list_filter = ("status", "exit_class", "source", "is_stale", "node", ("deleted_at", admin.EmptyFieldListFilter))
    list_select_related = ("owner", "node")
    search_fields = ("id", "name", "project", "owner__username", "=task__id")
    date_hierarchy = "created_at"
    form = RunForm
    editable = ("name", "tags", "notes")
    inlines = (ProcessesOfRun, LeasesOfRun, SeriesOfRun)

    def save_model(self, request: HttpRequest, obj: Run, form: "forms.ModelForm[Run]", change: bool) -> None:
        """By the service, which keeps the directory of a run that is renamed."""
        annotate_run(Run.objects.get(pk=obj.pk), _changed(form))


@admin.register(RunProcess)
class RunProcessAdmin(RecordAdmin):
    list_display = (
        "id", "run", "rank", "pid", "supervisor_pid", "started_at", "ended_at", "exit_code", "exit_signal",
        "max_rss_mib", "cpu_s",
    )  # fmt: skip
    list_filter = (("ended_at", admin.EmptyFieldListFilter), "exit_signal")
    list_select_related = ("run",)
    search_fields = ("run__id", "=pid", "=supervisor_pid")


@admin.register(Lease)
class LeaseAdmin(RecordAdmin):
    list_display = ("id", "run", "gpu", "memory_mib", "is_exclusive", "created_at", "released_at")
    list_filter = (("released_at", admin.EmptyFieldListFilter), "is_exclusive", "gpu__node")
    list_select_related = ("run", "gpu__node")
    search_fields = ("run__id", "gpu__uuid")


@admin.register(Event)
class EventAdmin(RecordAdmin):
    list_display = ("id", "created_at", "type", "reason", "message", "count", "task", "run", "node")
    list_filter = ("type", "reason", "node")
    list_select_related = ("task", "run", "node")
    search_fields = ("message", "reason", "run__id", "=task__id")
    date_hierarchy = "created_at"


@admin.register(Series)
class SeriesAdmin(RecordAdmin):
    list_display = ("id", "run", "name", "count", "first", "last", "min", "max", "latest_step")
    list_select_related = ("run",)
    search_fields = ("run__id", "name")


def _changed(form: "forms.ModelForm[Any]") -> dict[str, object]:
    return {name: form.cleaned_data[name] for name in form.changed_data}
