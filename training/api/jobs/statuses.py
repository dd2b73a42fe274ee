"""How the Jobs API spells the status of tasks and processes, and the reasons of events."""

from django.db.models import Q

from mlserver.errors import Invalid, shown
from training.models import Event, ExitClass, RunStatus, TaskStatus

JOB: dict[str, str] = {
    TaskStatus.HELD: "Pending",
    TaskStatus.WAITING: "Pending",
    TaskStatus.ACTIVE: "Running",
    TaskStatus.COMPLETED: "Completed",
    TaskStatus.FAILED: "Failed",
    TaskStatus.STOPPED: "ManualTermination",
}
CREATING = "Creating"
ALSO_CALLED = {"Stopped": "ManualTermination", "Error": "Failed"}
WORDS = {word: word for word in (*JOB.values(), CREATING)} | ALSO_CALLED
BY_LOWER_CASE = {said.lower(): word for said, word in WORDS.items()}

# Of events of a task; those of its runs end it a second time.
TASK_REASONS = {"Submitted": "Queued", "Requeued": "Queued", "Released": "Queued", "Retrying": "BackOff",
                "HandedBack": "FailedScheduling"}  # fmt: skip
RUN_REASONS = {"Scheduled": "Scheduled", "Started": "Started", "Finished": "Completed", "Failed": "Failed",
               "Stopping": "Killing", "Stopped": "Stopped"}  # fmt: skip
# What a run says as well, or what is no word of this API.
UNTOLD = {"Completed", "Failed", "Stopped", "Stopping", "Deleted", "Held"}
GONE = (ExitClass.KILLED, ExitClass.NODE_LOST)


def job_status(task_status: str, newest_run_status: str | None) -> str:
    if task_status == TaskStatus.ACTIVE and newest_run_status == RunStatus.STARTING:
        return CREATING
    return JOB[task_status]


def word_of(text: str) -> str:
    """The status that a filter names, in any case; raises Invalid."""
    if text.lower() in BY_LOWER_CASE:
        return BY_LOWER_CASE[text.lower()]
    raise Invalid.field("status", f"{shown(text)} must be one of {', '.join(WORDS)}")


def tasks_with(word: str) -> Q:
    """Needs the annotation `newest_run_status` for jobs that are active."""
    statuses = [status for status, theirs in JOB.items() if theirs == word]
    if word == CREATING:
        return Q(status=TaskStatus.ACTIVE, newest_run_status=RunStatus.STARTING)
    if word == JOB[TaskStatus.ACTIVE]:
        return Q(status=TaskStatus.ACTIVE) & ~Q(newest_run_status=RunStatus.STARTING)
    return Q(status__in=statuses)


def needs_run(word: str) -> bool:
    return word in (CREATING, JOB[TaskStatus.ACTIVE])


def pod_phase(run_status: str | None, exit_code: int | None) -> str:
    """Of one process; None: it was never placed."""
    if run_status is None or run_status == RunStatus.STARTING:
        return "Pending"
    if exit_code is not None:
        return "Succeeded" if exit_code == 0 else "Failed"
    if run_status in (RunStatus.RUNNING, RunStatus.ENDING):
        return "Running"
    return "Succeeded" if run_status == RunStatus.FINISHED else "Failed"


def reason_of(event: Event, exit_class: str | None) -> str | None:
    """None for an event that this API says in another one."""
    if event.run_id is None:
        return TASK_REASONS.get(event.reason) or (None if event.reason in UNTOLD else event.reason)
    if event.reason == "Failed" and exit_class in GONE:
        return "Lost"
    return RUN_REASONS.get(event.reason) or TASK_REASONS.get(event.reason, event.reason)
