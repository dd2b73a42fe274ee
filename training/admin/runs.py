"""Runs in the Django admin, and what belongs to them."""

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from mlserver.admin_cells import shortened
from training.admin.records import RecordAdmin, RecordInline, ServiceForm, changed
from training.models import (
    Event,
    ImportedRoot,
    Lease,
    Run,
    RunAlias,
    RunArtifact,
    RunEnvironment,
    RunFolder,
    RunMedia,
    RunProcess,
    Series,
    Spool,
)
from training.queue.spec import checked
from training.records import ANNOTATIONS, annotate_run


class RunForm(ServiceForm):
    def check_change(self, changed: dict[str, object]) -> None:
        checked(changed, ANNOTATIONS)


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


class ArtifactsOfRun(RecordInline):
    model = RunArtifact
    fields = readonly_fields = ("usage", "version", "created_at")


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
    inlines = (ProcessesOfRun, LeasesOfRun, ArtifactsOfRun, SeriesOfRun)

    def save_model(self, request: HttpRequest, obj: Run, form: "forms.ModelForm[Run]", change: bool) -> None:
        """By the service, which keeps the directory of a run that is renamed."""
        annotate_run(Run.objects.get(pk=obj.pk), changed(form))


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


@admin.register(RunArtifact)
class RunArtifactAdmin(RecordAdmin):
    list_display = ("id", "run", "usage", "of_version", "created_at")
    list_filter = ("usage", "version__artifact__type")
    list_select_related = ("run", "version__artifact")
    search_fields = ("run__id", "version__artifact__name")

    @admin.display(description="version", ordering="version__artifact__name")
    def of_version(self, artifact: RunArtifact) -> str:
        return shortened(str(artifact.version))


@admin.register(Spool)
class SpoolAdmin(RecordAdmin):
    list_display = ("id", "run", "file", "offset", "bad_lines")
    list_select_related = ("run",)
    search_fields = ("run__id",)


@admin.register(RunAlias)
class RunAliasAdmin(RecordAdmin):
    list_display = ("alias", "run")
    list_select_related = ("run",)
    search_fields = ("alias", "run__id")


@admin.register(RunEnvironment)
class RunEnvironmentAdmin(RecordAdmin):
    list_display = ("run",)
    list_select_related = ("run",)
    search_fields = ("run__id",)


@admin.register(RunMedia)
class RunMediaAdmin(RecordAdmin):
    list_display = ("id", "run", "key", "step", "name", "logged_at")
    list_select_related = ("run",)
    search_fields = ("run__id", "key")


@admin.register(ImportedRoot)
class ImportedRootAdmin(RecordAdmin):
    list_display = ("path", "owner", "is_followed", "added_at")
    list_filter = ("is_followed",)
    list_select_related = ("owner",)
    search_fields = ("path",)


@admin.register(RunFolder)
class RunFolderAdmin(RecordAdmin):
    list_display = ("id", "run", "root", "path")
    list_select_related = ("run", "root")
    search_fields = ("run__id", "path")
