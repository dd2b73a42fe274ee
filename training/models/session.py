"""TrainingSession: a task of the built-in trainer, and the epochs it has finished."""

import secrets

from django.db import models
from django.db.models import OuterRef, Subquery, Value
from django.db.models.functions import Concat
from django.utils import timezone

from registry.models import ArtifactVersion
from training.models.task import UNENDED, Task, TaskStatus
from training.trainer.catalog import REGRESSION_LOSSES

SESSION_ID = "sess_[0-9a-f]{12}"


class SessionState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


STATES = {
    TaskStatus.HELD: SessionState.QUEUED,
    TaskStatus.WAITING: SessionState.QUEUED,
    TaskStatus.ACTIVE: SessionState.RUNNING,
    TaskStatus.COMPLETED: SessionState.COMPLETED,
    TaskStatus.FAILED: SessionState.FAILED,
    TaskStatus.STOPPED: SessionState.STOPPED,
}
QUEUED_STATUSES = tuple(status for status, state in STATES.items() if state == SessionState.QUEUED)


def state_of(status: str, *, is_stop_recorded: bool) -> SessionState:
    """The state of a session whose task has this status; a stop counts as soon as it is recorded."""
    state = STATES[TaskStatus(status)]
    return SessionState.STOPPED if state == SessionState.RUNNING and is_stop_recorded else state


def new_session_id() -> str:
    """`sess_` and 48 random bits in hexadecimal."""
    return f"sess_{secrets.token_hex(6)}"


class SessionQuerySet(models.QuerySet["TrainingSession"]):
    def visible(self) -> "SessionQuerySet":
        return self.filter(task__deleted_at=None)

    def unended(self) -> "SessionQuerySet":
        return self.filter(task__status__in=UNENDED)

    def running(self) -> "SessionQuerySet":
        """Also those that were asked to stop and have not ended."""
        return self.filter(task__status=TaskStatus.ACTIVE)

    def making(self, model_name: str) -> "SessionQuerySet":
        """Those whose weights are registered under this name."""
        made = Concat("model_architecture", Value("_"), "dataset_name")
        return self.annotate(made=made).filter(made=model_name)

    def with_val_accuracy(self) -> "SessionQuerySet":
        """Adds `val_accuracy` of the newest finished epoch, null before the first."""
        epochs = SessionEpoch.objects.filter(session=OuterRef("pk")).order_by("-epoch")
        return self.annotate(val_accuracy=Subquery(epochs.values("val_accuracy")[:1]))


class TrainingSession(models.Model):
    """The seven fields of a submission; status, times and owner are those of the task."""

    id = models.CharField(verbose_name="ID", primary_key=True, max_length=17, default=new_session_id, editable=False)
    task = models.OneToOneField(Task, on_delete=models.CASCADE, related_name="session")
    dataset_version = models.ForeignKey(ArtifactVersion, on_delete=models.PROTECT, related_name="sessions")
    model_architecture = models.CharField(max_length=100)
    dataset_name = models.CharField(max_length=100)
    learning_rate = models.FloatField()
    batch_size = models.PositiveIntegerField()
    epochs = models.PositiveIntegerField()
    optimizer = models.CharField(max_length=16)
    loss_function = models.CharField(max_length=16)
    current_epoch = models.PositiveIntegerField(null=True, blank=True, help_text="the last one that was finished")

    objects = SessionQuerySet.as_manager()

    class Meta:
        ordering = ["-task_id"]

    def __str__(self) -> str:
        return self.id

    @property
    def owner_id(self) -> int:
        return self.task.owner_id

    @property
    def state(self) -> SessionState:
        return state_of(self.task.status, is_stop_recorded=self.task.stop_requested_at is not None)

    @property
    def model_name(self) -> str:
        """The name its weights are registered under."""
        return f"{self.model_architecture}_{self.dataset_name}"

    @property
    def is_regression(self) -> bool:
        """Whether its target is a number: then what stands for accuracy is R2."""
        return self.loss_function in REGRESSION_LOSSES

    def said_of_accuracy(self, accuracy: float | None) -> str | None:
        """For lists: `0.9877`, of a regression `R2 0.9877`."""
        return None if accuracy is None else f"{'R2 ' if self.is_regression else ''}{accuracy:.4f}"


class SessionEpoch(models.Model):
    """One finished epoch; the later run of a session wins. Numbers that are not finite are null."""

    session = models.ForeignKey(TrainingSession, on_delete=models.CASCADE, related_name="epoch_rows")
    run = models.ForeignKey("training.Run", on_delete=models.CASCADE, related_name="+")
    epoch = models.PositiveIntegerField(help_text="from 1")
    loss = models.FloatField(null=True, blank=True)
    accuracy = models.FloatField(null=True, blank=True, help_text="0 to 1")
    val_loss = models.FloatField(verbose_name="validation loss", null=True, blank=True)
    val_accuracy = models.FloatField(verbose_name="validation accuracy", null=True, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["epoch"]
        constraints = [models.UniqueConstraint(fields=["session", "epoch"], name="one_row_per_epoch")]

    def __str__(self) -> str:
        return f"{self.session_id} epoch {self.epoch}"
