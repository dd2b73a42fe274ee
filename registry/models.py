"""Artifacts in versions, the files of a version, and the blobs that hold the bytes of each content once."""

from django.conf import settings
from django.db import models
from django.db.models import OuterRef, Subquery
from django.utils import timezone


class ArtifactType(models.TextChoices):
    MODEL = "model"
    DATASET = "dataset"
    CONFIG = "config"
    CODE = "code"
    CUSTOM = "custom"


class VersionStatus(models.TextChoices):
    PENDING = "pending"
    UPLOADING = "uploading"
    READY = "ready"
    FAILED = "failed"
    DELETED = "deleted"
    CORRUPTED = "corrupted"


class DatasetFormat(models.TextChoices):
    IMAGES = "images"
    CSV = "csv", "CSV"
    NUMPY = "numpy", "NumPy"


class Target(models.TextChoices):
    """What a sample is to be told: one of some classes, a number, or a whole number that may be taken for either."""

    CLASSES = "classes"
    INTEGERS = "integers"
    NUMBERS = "numbers"


class Blob(models.Model):
    """The bytes of one content, at the path that its digest names; a row exists only for bytes that are there."""

    digest = models.CharField(verbose_name="SHA-256", primary_key=True, max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.digest[:12]


class ArtifactQuerySet(models.QuerySet["Artifact"]):
    def live(self) -> "ArtifactQuerySet":
        """Artifacts with at least one version that can be read."""
        ready = ArtifactVersion.objects.ready().filter(artifact=OuterRef("pk"))
        return self.filter(models.Exists(ready))

    def with_newest_version(self) -> "ArtifactQuerySet":
        """Adds `newest_version_id`: the newest version that can be read, null without one."""
        ready = ArtifactVersion.objects.ready().filter(artifact=OuterRef("pk")).order_by("-number")
        return self.annotate(newest_version_id=Subquery(ready.values("pk")[:1]))


class Artifact(models.Model):
    """A name of a type. It stays when its versions are deleted, so numbers of versions never come twice."""

    type = models.CharField(max_length=16, choices=ArtifactType.choices)
    name = models.CharField(max_length=255)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="artifacts",
        help_text="empty: it came with the server",
    )  # fmt: skip
    next_number = models.PositiveIntegerField(default=1, help_text="number of the next version")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    objects = ArtifactQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["type", "name"], name="one_artifact_per_name")]

    def __str__(self) -> str:
        return self.name


class VersionQuerySet(models.QuerySet["ArtifactVersion"]):
    def ready(self) -> "VersionQuerySet":
        """Versions that can be read."""
        return self.filter(status=VersionStatus.READY)

    def newest_of(self, type: str, name: str) -> "ArtifactVersion | None":
        """The newest version that can be read of the artifact with this type and name."""
        mine = self.ready().filter(artifact__type=type, artifact__name=name)
        return mine.select_related("artifact").order_by("-number").first()

    def newest_of_each(self, type: str) -> "VersionQuerySet":
        """Of each artifact of this type the newest version that can be read; artifacts without one are left out."""
        of_same = ArtifactVersion.objects.ready().filter(artifact=OuterRef("artifact")).order_by("-number")
        return self.ready().filter(artifact__type=type, number=Subquery(of_same.values("number")[:1]))


class ArtifactVersion(models.Model):
    artifact = models.ForeignKey(Artifact, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=16, choices=VersionStatus.choices, default=VersionStatus.READY)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="artifact_versions"
    )
    size_bytes = models.PositiveBigIntegerField(default=0)
    num_files = models.PositiveIntegerField(verbose_name="files", default=0)
    metadata = models.JSONField(default=dict, blank=True, help_text="an object of its maker")
    description = models.TextField(blank=True)
    tags = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = VersionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["artifact", "number"], name="one_version_per_number")]
        indexes = [
            # The newest readable version of an artifact, from the index alone.
            models.Index(fields=["artifact", "status", "-number"], name="version_newest")
        ]

    def __str__(self) -> str:
        return f"{self.artifact}:v{self.number}"


class ArtifactFile(models.Model):
    """One file of a version; `link_name` is its name in MODELS_DIR or DATASETS_DIR, where it has one."""

    version = models.ForeignKey(ArtifactVersion, on_delete=models.CASCADE, related_name="files")
    path = models.CharField(max_length=1024, help_text="within the version")
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="files")
    link_name = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ["path"]
        constraints = [
            models.UniqueConstraint(fields=["version", "path"], name="one_file_per_path"),
            models.UniqueConstraint(
                fields=["link_name"], condition=~models.Q(link_name=""), name="one_file_per_link_name"
            ),
        ]

    def __str__(self) -> str:
        return self.path


class DatasetFacts(models.Model):
    """What was found in the data of a dataset version when it was published."""

    version = models.OneToOneField(ArtifactVersion, on_delete=models.CASCADE, related_name="dataset")
    format = models.CharField(max_length=16, choices=DatasetFormat.choices)
    sample_count = models.PositiveBigIntegerField()
    dimensions = models.CharField(max_length=255, blank=True, help_text="HxWxC, columns, or the shape of the array")
    input_shape = models.JSONField(
        default=list, blank=True, help_text="of one sample: [height, width, channels] or [features]"
    )
    target = models.CharField(max_length=16, choices=Target.choices, blank=True)
    class_count = models.PositiveIntegerField(null=True, blank=True)
    untrainable_reason = models.TextField(blank=True, help_text="why nothing can be trained on it; empty: it can")

    class Meta:
        verbose_name_plural = "dataset facts"

    def __str__(self) -> str:
        return f"{self.sample_count} {self.format}"
