"""Artifacts and what they are made of in the Django admin: to look at, and names to take back."""

from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat

from mlserver.admin_cells import shortened
from mlserver.errors import Conflict
from registry.models import Artifact, ArtifactFile, ArtifactVersion, Blob, DatasetFacts, VersionStatus
from registry.publish import delete_versions


class StoredAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Rows that stand for bytes on disk: written by `publish`, never by hand."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    @admin.display(description="size", ordering="size_bytes")
    def size(self, row: Any) -> str:
        return filesizeformat(row.size_bytes)


class StoredInline(admin.TabularInline):  # type: ignore[type-arg]  # not generic at run time
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


class VersionsOfArtifact(StoredInline):
    model = ArtifactVersion
    fields = readonly_fields = ("number", "status", "owner", "size_bytes", "num_files", "created_at", "deleted_at")


class FilesOfVersion(StoredInline):
    model = ArtifactFile
    fields = readonly_fields = ("path", "blob", "link_name")


class FactsOfVersion(StoredInline):
    model = DatasetFacts
    fields = readonly_fields = ("format", "sample_count", "dimensions", "target", "class_count", "untrainable_reason")


@admin.register(Artifact)
class ArtifactAdmin(StoredAdmin):
    list_display = ("id", "type", "called", "owner", "ready_versions", "created_at", "updated_at")
    list_display_links = ("id", "called")
    list_filter = ("type",)
    list_select_related = ("owner",)
    search_fields = ("name", "owner__username")
    date_hierarchy = "created_at"
    inlines = (VersionsOfArtifact,)
    actions = ("take_back",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Artifact]":
        rows: QuerySet[Artifact] = super().get_queryset(request)
        return rows.annotate(ready_count=Count("versions", filter=Q(versions__status=VersionStatus.READY)))

    @admin.display(description="name", ordering="name")
    def called(self, artifact: Artifact) -> str:
        return shortened(artifact.name)

    @admin.display(description="readable versions", ordering="ready_count")
    def ready_versions(self, artifact: Artifact) -> int:
        return int(getattr(artifact, "ready_count"))  # noqa: B009  annotated above, unknown to the type checker

    def has_take_back_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("registry.delete_artifact")

    @admin.action(description="Delete all versions of the selected artifacts", permissions=["take_back"])
    def take_back(self, request: HttpRequest, queryset: "QuerySet[Artifact]") -> None:
        """By the service, which takes the links back; what sessions were trained on stays known."""
        count = artifacts = 0
        for artifact in queryset:
            try:
                count += delete_versions(artifact)
            except Conflict as conflict:
                messages.error(request, conflict.message)
            else:
                artifacts += 1
        if artifacts:
            messages.success(request, f"Deleted: {count} versions of {artifacts} artifacts.")


@admin.register(ArtifactVersion)
class ArtifactVersionAdmin(StoredAdmin):
    list_display = ("id", "called", "number", "status", "owner", "size", "num_files", "created_at", "deleted_at")
    list_filter = ("status", "artifact__type", ("deleted_at", admin.EmptyFieldListFilter))
    list_select_related = ("artifact", "owner")
    search_fields = ("artifact__name", "owner__username")
    date_hierarchy = "created_at"
    inlines = (FilesOfVersion, FactsOfVersion)

    @admin.display(description="artifact", ordering="artifact__name")
    def called(self, version: ArtifactVersion) -> str:
        return shortened(version.artifact.name)


@admin.register(ArtifactFile)
class ArtifactFileAdmin(StoredAdmin):
    list_display = ("id", "of_version", "path_there", "link", "blob")
    list_select_related = ("version__artifact", "blob")
    search_fields = ("path", "link_name", "version__artifact__name", "=blob__digest")

    @admin.display(description="version", ordering="version__artifact__name")
    def of_version(self, file: ArtifactFile) -> str:
        return shortened(str(file.version))

    @admin.display(description="path", ordering="path")
    def path_there(self, file: ArtifactFile) -> str:
        return shortened(file.path)

    @admin.display(description="link name", ordering="link_name")
    def link(self, file: ArtifactFile) -> str:
        return shortened(file.link_name)


@admin.register(DatasetFacts)
class DatasetFactsAdmin(StoredAdmin):
    list_display = ("of_version", "format", "sample_count", "dimensions", "target", "class_count", "is_trainable")
    list_filter = ("format", "target")
    list_select_related = ("version__artifact",)
    search_fields = ("version__artifact__name",)

    @admin.display(description="version", ordering="version__artifact__name")
    def of_version(self, facts: DatasetFacts) -> str:
        return shortened(str(facts.version))

    @admin.display(boolean=True, description="can be trained on")
    def is_trainable(self, facts: DatasetFacts) -> bool:
        return not facts.untrainable_reason


@admin.register(Blob)
class BlobAdmin(StoredAdmin):
    list_display = ("digest", "size", "created_at")
    search_fields = ("digest",)
    date_hierarchy = "created_at"
