"""Training sessions in the Django admin, with their epochs."""

from django.contrib import admin

from training.admin.records import RecordAdmin, RecordInline
from training.models import SessionEpoch, TrainingSession


class EpochsOfSession(RecordInline):
    model = SessionEpoch
    show_change_link = False
    fields = readonly_fields = ("epoch", "run", "loss", "accuracy", "val_loss", "val_accuracy", "at")


@admin.register(TrainingSession)
class TrainingSessionAdmin(RecordAdmin):
    """To look at; a session is stopped and run again as the task it is."""

    list_display = (
        "id", "task", "status", "model_architecture", "dataset_name", "current_epoch", "epochs", "learning_rate",
        "batch_size", "optimizer", "loss_function",
    )  # fmt: skip
    list_filter = ("task__status", "model_architecture", "optimizer", "loss_function")
    list_select_related = ("task",)
    search_fields = ("id", "dataset_name", "model_architecture", "task__owner__username", "=task__id")
    inlines = (EpochsOfSession,)

    @admin.display(ordering="task__status")
    def status(self, session: TrainingSession) -> str:
        return session.task.status


@admin.register(SessionEpoch)
class SessionEpochAdmin(RecordAdmin):
    list_display = ("id", "session", "run", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "at")
    list_select_related = ("session", "run")
    search_fields = ("session__id", "run__id")
