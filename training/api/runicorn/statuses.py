"""How the Runicorn API spells the status of a run."""

from training.models import ExitClass, RunStatus

STATUSES: dict[str, str] = {
    RunStatus.STARTING: "running",
    RunStatus.RUNNING: "running",
    RunStatus.ENDING: "running",
    RunStatus.FINISHED: "finished",
    RunStatus.FAILED: "failed",
    RunStatus.STOPPED: "interrupted",
}
WORDS = ("running", "finished", "failed", "interrupted")
GONE = "process_not_found"


def statuses_named(name: str) -> list[str]:
    """Ours that the API calls `name`; none for a word that it does not know."""
    return [ours for ours, theirs in STATUSES.items() if theirs == name]


def exit_reason(exit_class: str, reason: str) -> str:
    """The API's word for a process that is gone, else our sentence."""
    return GONE if exit_class in (ExitClass.KILLED, ExitClass.NODE_LOST) else reason
