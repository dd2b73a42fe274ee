"""Tasks, runs and what belongs to them."""

from training.models.alias import RunAlias
from training.models.dependency import Condition, TaskDependency
from training.models.dispatch import DispatchLoop, DispatchRules
from training.models.environment import RunEnvironment
from training.models.event import Event, EventType
from training.models.folder import ImportedRoot, RunFolder
from training.models.lease import Lease
from training.models.media import RunMedia
from training.models.metric_file import MetricFile
from training.models.metrics import MetricChunk, MetricGroup, MetricWord
from training.models.process import RunProcess
from training.models.queue import Queue, UserLimits
from training.models.run import ExitClass, Run, RunStatus
from training.models.run_artifact import RunArtifact, Usage
from training.models.schedule import Missed, Overlap, TaskSchedule
from training.models.series import Series
from training.models.session import SessionEpoch, TrainingSession
from training.models.spool import Spool
from training.models.task import Source, Task, TaskStatus

__all__ = [
    "Condition", "DispatchLoop", "DispatchRules", "Event", "EventType", "ExitClass", "ImportedRoot", "Lease",
    "MetricChunk", "MetricFile", "MetricGroup", "MetricWord", "Missed", "Overlap", "Queue", "Run", "RunAlias",
    "RunArtifact", "RunEnvironment", "RunFolder", "RunMedia", "RunProcess", "RunStatus", "Series", "SessionEpoch",
    "Source", "Spool", "Task", "TaskDependency", "TaskSchedule", "TaskStatus", "TrainingSession", "Usage",
    "UserLimits",
]  # fmt: skip
