"""Training sessions in the Django admin, with their epochs."""

from datetime import datetime
from typing import cast

from django.contrib import admin
from django.contrib.admin.utils import display_for_value
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest

from mlserver.admin_cells import shortened
from mlserver.api.reading import Row
from training.admin.records import RecordAdmin, RecordInline
from training.api.session_json import render_statuses, session_rows
from training.models import SessionEpoch, TrainingSession
from training.models.session import SessionQuerySet


class EpochsOfSession(RecordInline):
    model = SessionEpoch
    show_change_link = False
    fields = readonly_fields = ("epoch", "run", "loss", "accuracy", "val_loss", "val_accuracy", "at")


@admin.register(TrainingSession)
class TrainingSessionAdmin(RecordAdmin):
    """To look at; a session is stopped and run again as the task it is."""

    list_display = ("id", "trained", "state", "progress", "validation", "owner", "created")
    list_filter = ("task__status", "model_architecture", "optimizer", "loss_function")
    list_select_related = ("task__owner",)
    search_fields = ("id", "dataset_name", "model_architecture", "task__owner__username", "=task__id")
    inlines = (EpochsOfSession,)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[TrainingSession]":
        return cast(SessionQuerySet, super().get_queryset(request)).with_val_accuracy()

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        return ["state", "start", "end", "error", *super().get_readonly_fields(request, obj)]

    @admin.display(description="model", ordering="model_architecture")
    def trained(self, session: TrainingSession) -> str:
        return shortened(session.model_name)

    @admin.display(ordering="task__status")
    def state(self, session: TrainingSession) -> str:
        return session.state.value

    @admin.display(description="epoch", ordering="current_epoch")
    def progress(self, session: TrainingSession) -> str:
        return f"{session.current_epoch or 0} of {session.epochs}"

    @admin.display(description="val. accuracy", ordering="val_accuracy", empty_value="")
    def validation(self, session: TrainingSession) -> str | None:
        return session.said_of_accuracy(getattr(session, "val_accuracy"))  # noqa: B009  annotated by get_queryset

    @admin.display(ordering="task__owner__username")
    def owner(self, session: TrainingSession) -> str:
        return session.task.owner.get_username()

    @admin.display(ordering="task__created_at")
    def created(self, session: TrainingSession) -> datetime:
        return session.task.created_at

    @admin.display(description="start time")
    def start(self, session: TrainingSession) -> str:
        return display_for_value(told(session)["start_time"], self.get_empty_value_display())

    @admin.display(description="end time")
    def end(self, session: TrainingSession) -> str:
        return display_for_value(told(session)["end_time"], self.get_empty_value_display())

    @admin.display(description="error message")
    def error(self, session: TrainingSession) -> str | None:
        return cast(str | None, told(session)["error_message"])


def told(session: TrainingSession) -> Row:
    """What the Training API tells of it."""
    return render_statuses([*session_rows(TrainingSession.objects.filter(pk=session.pk))])[0]


@admin.register(SessionEpoch)
class SessionEpochAdmin(RecordAdmin):
    list_display = ("id", "session", "run", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "at")
    list_select_related = ("session", "run")
    search_fields = ("session__id", "run__id")
