"""Training sessions as their API shows them: read as rows, whatever their number in two queries."""

from django.db.models import QuerySet

from mlserver.api.reading import Row
from training.models import Run, SessionEpoch, TaskStatus, TrainingSession
from training.models.session import QUEUED_STATUSES, SessionQuerySet, SessionState, state_of
from training.sessions import FIELDS

OF_TASK = ("status", "created_at", "started_at", "ended_at", "stop_requested_at")
NO_REASON = "the training ended without a word; its log may say more"


def session_rows(sessions: SessionQuerySet | None = None) -> "QuerySet[TrainingSession, Row]":
    """What `render_sessions` needs of each of these (default: all that were not deleted), the newest first."""
    if sessions is None:
        sessions = TrainingSession.objects.visible()
    rows: QuerySet[TrainingSession, Row] = sessions.values(
        "id", "task_id", "current_epoch", *FIELDS, *(f"task__{name}" for name in OF_TASK)
    )
    return rows.order_by("-task_id")


def queued_rows() -> "QuerySet[TrainingSession, Row]":
    """Those that wait, in the order they get their turn; held ones have none yet and come last."""
    queued = session_rows().filter(task__status__in=QUEUED_STATUSES)
    return queued.order_by("-task__status", "task__turn", "task_id")


def render_sessions(rows: list[Row]) -> list[Row]:
    """T9 objects."""
    return [
        {
            "session_id": row["id"],
            "config": {name: row[name] for name in FIELDS},
            "status": status,
            "created_at": row["task__created_at"],
        }
        for row, status in zip(rows, render_statuses(rows), strict=True)
    ]


def render_statuses(rows: list[Row]) -> list[Row]:
    """T5 objects; one more query when any of them failed."""
    failed = [row["task_id"] for row in rows if row["task__status"] == TaskStatus.FAILED]
    reasons = reasons_of(failed)
    return [_status(row, reasons) for row in rows]


def reasons_of(task_ids: list[int]) -> dict[int, str]:
    """Why the newest run of each task ended, by the task."""
    if not task_ids:
        return {}
    # Of many tasks all that failed: a list of thousands of ids is more than a statement takes.
    mine = {"task_id": task_ids[0]} if len(task_ids) == 1 else {"task__is_session": True}
    runs = Run.objects.visible().filter(task__status=TaskStatus.FAILED, **mine).order_by("created_at", "pk")
    return dict(runs.values_list("task_id", "exit_reason"))


def _status(row: Row, reasons: dict[int, str]) -> Row:
    stop_requested_at = row["task__stop_requested_at"]
    state = state_of(row["task__status"], is_stop_recorded=stop_requested_at is not None)
    ended_at = row["task__ended_at"]
    return {
        "session_id": row["id"],
        "state": state,
        "current_epoch": row["current_epoch"],
        "total_epochs": row["epochs"],
        # A session that was handed back has begun before, and is in the queue all the same.
        "start_time": None if state == SessionState.QUEUED else row["task__started_at"],
        # What was told once stays: its processes end later than the stop that they end by.
        "end_time": (stop_requested_at or ended_at) if state == SessionState.STOPPED else ended_at,
        "error_message": (reasons.get(row["task_id"]) or NO_REASON) if state == SessionState.FAILED else None,
    }


def epoch_rows(session_id: str) -> "QuerySet[SessionEpoch, Row]":
    """T6 objects of a session; order them."""
    columns = ("session_id", "epoch", "loss", "accuracy", "val_loss", "val_accuracy")
    rows: QuerySet[SessionEpoch, Row] = SessionEpoch.objects.filter(session=session_id).values(*columns, "at")
    return rows


def render_epoch(row: Row) -> Row:
    return {"timestamp" if name == "at" else name: value for name, value in row.items()}
