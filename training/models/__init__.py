"""Tasks, runs and what belongs to them."""

from training.models.event import Event, EventType
from training.models.lease import Lease
from training.models.process import RunProcess
from training.models.run import ExitClass, Run, RunStatus
from training.models.series import Series
from training.models.task import Source, Task, TaskStatus

__all__ = [
    "Event", "EventType", "ExitClass", "Lease", "Run", "RunProcess", "RunStatus", "Series", "Source", "Task",
    "TaskStatus",
]  # fmt: skip
