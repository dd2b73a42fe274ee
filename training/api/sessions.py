"""T3-T11: train by name, watch it, and stop it."""

from typing import cast

from django.contrib.auth.models import User
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.viewsets import ViewSet

from mlserver.accounts.permissions import require_owner
from mlserver.api.idempotency import idempotent
from mlserver.api.negotiation import WhateverIsAccepted
from mlserver.api.parsing import query_int
from mlserver.api.reading import Row
from mlserver.api.rendering import OrjsonRenderer, json_response
from mlserver.api.schema import Refusal, text_parameter, whole_parameter
from mlserver.errors import NotFound
from training import sessions
from training.api.session_json import (
    epoch_rows,
    queued_rows,
    render_epoch,
    render_sessions,
    render_statuses,
    session_rows,
)
from training.api.session_logs import newest_entries, render_entries
from training.api.session_schemas import EpochMetrics, LogEntry, Said, SessionAnswer, SessionStart, SessionStarted
from training.api.session_schemas import SessionStatus as StatusAnswer
from training.models import Run, TrainingSession
from training.models.session import SESSION_ID, SessionState
from training.tracking.logs import MAX_LINES

DEFAULT_LIMIT = 100
TAGS = ["training"]
SESSION = text_parameter("session_id", "as the start answered", pattern=SESSION_ID)
LIMIT = whole_parameter("limit", "newest entries", default=DEFAULT_LIMIT, at_least=1, at_most=MAX_LINES)
NOT_TRAINABLE = OpenApiResponse(
    Refusal,
    description="the body is not JSON, or not an object; or nobody knows an architecture or a dataset of this name; or "
    "the data does not fit the architecture or the loss. `detail` says which, and what there is",
)
# One that succeeds as it stands: the dataset comes with the server.
START_EXAMPLE = OpenApiExample(
    "digits in seconds",
    {
        "model_architecture": "simple_cnn", "dataset_name": "digits", "learning_rate": 0.001, "batch_size": 32,
        "epochs": 5, "optimizer": "adam", "loss_function": "cross_entropy",
    },
    request_only=True,
)  # fmt: skip


class SessionSet(ViewSet):
    """Trainings of the built-in trainer. Stopping one takes its owner or an administrator."""

    renderer_classes = (OrjsonRenderer,)
    content_negotiation_class = WhateverIsAccepted
    conflicting_actions = ("stop", "cancel")

    @extend_schema(
        tags=TAGS,
        operation_id="training_start",
        summary="Train an architecture on a dataset",
        description="Answers after one scheduling pass: running, or queued at capacity.",
        request=SessionStart,
        responses={200: SessionStarted, 400: NOT_TRAINABLE},
        examples=[START_EXAMPLE],
    )
    @idempotent
    def start(self, request: Request) -> HttpResponse:
        """T3."""
        session = sessions.start(cast(Row, request.data), owner=cast(User, request.user))
        is_queued = session.state == SessionState.QUEUED
        reason = session.task.waiting_reason
        said = f"queued: {reason or 'its turn has not come yet'}" if is_queued else "started"
        return json_response(
            {
                "session_id": session.pk,
                "status": SessionState.QUEUED if is_queued else SessionState.RUNNING,
                "message": f"training of {session.model_name} {said}",
            }
        )

    @extend_schema(
        tags=TAGS,
        operation_id="training_stop",
        summary="Stop a training",
        description="It ends after its current batch, is killed after 30 s, and keeps its last checkpoint. A queued "
        "one is cancelled. 409 when it has ended or is being stopped already.",
        parameters=[SESSION],
        request=None,
        responses=OpenApiResponse(Said, description="the stop is recorded, and the state is `stopped` from now on"),
    )
    def stop(self, request: Request, session_id: str) -> HttpResponse:
        """T4."""
        session = sessions.stop(self.own(session_id), f"stopped by {request.user}")
        rest = "" if session.task.has_ended else "; it ends after its current batch"
        return json_response({"message": f"training session {session_id} is stopped{rest}"})

    @extend_schema(
        tags=TAGS,
        operation_id="training_status",
        summary="State and progress of a training",
        description="`stopped` as soon as a stop is recorded; all seven fields are always there.",
        parameters=[SESSION],
        responses=StatusAnswer,
    )
    def status(self, request: Request, session_id: str) -> HttpResponse:
        """T5."""
        rows: list[Row] = list(session_rows().filter(pk=session_id))
        if not rows:
            raise unknown(session_id)
        return json_response(render_statuses(rows)[0])

    @extend_schema(
        tags=TAGS,
        operation_id="training_metrics",
        summary="Numbers of the newest epoch",
        description="Of the newest finished epoch; `null` before the first.",
        parameters=[SESSION],
        responses=OpenApiResponse(EpochMetrics, description="null before the first epoch is finished"),
    )
    def metrics(self, request: Request, session_id: str) -> HttpResponse:
        """T6."""
        newest = epoch_rows(self.known(session_id)).order_by("-epoch").first()
        return json_response(render_epoch(newest) if newest else None)

    @extend_schema(
        tags=TAGS,
        operation_id="training_history",
        summary="Numbers of every epoch",
        description="One object for each finished epoch, the first one first.",
        parameters=[SESSION],
        responses=EpochMetrics(many=True),
    )
    def history(self, request: Request, session_id: str) -> HttpResponse:
        """T7."""
        rows = epoch_rows(self.known(session_id)).order_by("epoch")
        return json_response([render_epoch(row) for row in rows])

    @extend_schema(
        tags=TAGS,
        operation_id="training_logs",
        summary="Log entries of a training",
        description="The newest ones over all its runs, the oldest of them first.",
        parameters=[SESSION, LIMIT],
        responses=LogEntry(many=True),
    )
    def logs(self, request: Request, session_id: str) -> HttpResponse:
        """T8."""
        limit = query_int(request.query_params, "limit", default=DEFAULT_LIMIT, at_least=1, at_most=MAX_LINES)
        session = self.find(session_id)
        runs = Run.objects.visible().filter(task=session.task_id).order_by("-created_at", "-pk")
        entries = newest_entries(runs, session.task.ranks, limit)
        return json_response(render_entries(session_id, entries))

    @extend_schema(
        tags=TAGS,
        operation_id="training_sessions",
        summary="List trainings",
        description="All of them, the newest first.",
        responses=SessionAnswer(many=True),
    )
    def list(self, request: Request) -> HttpResponse:
        """T9."""
        return json_response(render_sessions([*session_rows()]))

    @extend_schema(
        tags=TAGS,
        operation_id="training_queue",
        summary="List queued trainings",
        description="Those that have not started, in the order in which they will.",
        responses=SessionAnswer(many=True),
    )
    def queue(self, request: Request) -> HttpResponse:
        """T10."""
        return json_response(render_sessions([*queued_rows()]))

    @extend_schema(
        tags=TAGS,
        operation_id="training_queue_cancel",
        summary="Take a training out of the queue",
        description="Its state becomes `stopped`. 409 unless it is queued.",
        parameters=[SESSION],
        responses={200: Said},
    )
    def cancel(self, request: Request, session_id: str) -> HttpResponse:
        """T11."""
        sessions.cancel(self.own(session_id), f"cancelled by {request.user}")
        return json_response({"message": f"training session {session_id} is out of the queue"})

    def find(self, session_id: str) -> TrainingSession:
        session = TrainingSession.objects.visible().select_related("task").filter(pk=session_id).first()
        if session is None:
            raise unknown(session_id)
        return session

    def own(self, session_id: str) -> TrainingSession:
        """The session, when the caller may stop it; raises NotFound and Forbidden."""
        session = self.find(session_id)
        require_owner(self.request, session)
        return session

    def known(self, session_id: str) -> str:
        if not TrainingSession.objects.visible().filter(pk=session_id).exists():
            raise unknown(session_id)
        return session_id


def unknown(session_id: str) -> NotFound:
    return NotFound(f"training session {session_id} does not exist")
