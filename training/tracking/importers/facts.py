"""What the files of a run directory say, as columns of a run."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from training.models import ExitClass, RunStatus
from training.models.run import PROCESS_NOT_FOUND
from training.tracking.importers.documents import DELETED, META, STATUS, Document, News
from training.tracking.importers.layout import Experiment
from training.tracking.importers.processes import host_of, is_lost, text_of
from training.tracking.instants import instant_or_none

ENDS = {
    "finished": (RunStatus.FINISHED, ExitClass.OK),
    "failed": (RunStatus.FAILED, ExitClass.ERROR),
    "interrupted": (RunStatus.STOPPED, ExitClass.STOPPED),
}
# How the files call each status.
WORDS: dict[str, str] = {
    RunStatus.STARTING: "running", RunStatus.RUNNING: "running", RunStatus.ENDING: "running",
    RunStatus.FINISHED: "finished", RunStatus.FAILED: "failed", RunStatus.STOPPED: "interrupted",
}  # fmt: skip


@dataclass(frozen=True)
class End:
    """How a run ended; `status` is running for one that has not."""

    status: RunStatus
    exit_class: str = ""
    reason: str = ""
    at: datetime | None = None

    @property
    def is_running(self) -> bool:
        return self.status == RunStatus.RUNNING


def columns_of(news: News, experiment: Experiment, folder_at: float) -> dict[str, Any]:
    """Of a run that is new here. `folder_at`: when its directory was changed, for runs that say no time themselves."""
    meta, status = (news.said.get(name, {}) for name in (META, STATUS))
    written_at = news.written_at or folder_at
    created_at = instant_or_none(meta.get("created_at")) or instant_or_none(folder_at)
    end = end_of(status, meta, written_at)
    return {
        "project": text_of(meta, "project")[:100] or experiment.project[:100] or "default",
        "name": text_of(meta, "name")[:255] or experiment.name[:255],
        "host": host_of(meta),
        "created_at": created_at,
        "started_at": instant_or_none(status.get("started_at")) or created_at,
        "updated_at": instant_or_none(written_at),
        "status": end.status,
        "exit_class": end.exit_class,
        "exit_reason": end.reason,
        "ended_at": end.at,
        **deletion_of(news.said.get(DELETED), written_at),
    }


def end_of(status: Document, meta: Document, written_at: float) -> End:
    """A run without a status has finished, as the original says; one whose process is gone from here has failed."""
    word = text_of(status, "status") or "finished"
    at = instant_or_none(status.get("ended_at")) or instant_or_none(written_at)
    if word == "running":
        lost = End(RunStatus.FAILED, ExitClass.KILLED, PROCESS_NOT_FOUND, at)
        return lost if is_lost(meta) else End(RunStatus.RUNNING)
    reason = text_of(status, "exit_reason")
    if reason == PROCESS_NOT_FOUND:
        return End(RunStatus.FAILED, ExitClass.KILLED, reason, at)
    known = ENDS.get(word, (RunStatus.FINISHED, ExitClass.OK))
    return End(*known, (reason or f"its files say: {word}")[:2000], at)


def deletion_of(marker: Document | None, written_at: float) -> dict[str, Any]:
    if marker is None:
        return {}
    at = instant_or_none(marker.get("deleted_at")) or instant_or_none(written_at)
    return {"deleted_at": at, "delete_reason": text_of(marker, "reason")[:64] or "unknown"}
