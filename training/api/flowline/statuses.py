"""How the FlowLine API spells the status of tasks and processes."""

from training.models import RunStatus, TaskStatus

TASK: dict[str, str] = {
    TaskStatus.HELD: "queued",
    TaskStatus.WAITING: "queued",
    TaskStatus.ACTIVE: "running",
    TaskStatus.COMPLETED: "completed",
    TaskStatus.FAILED: "failed",
    TaskStatus.STOPPED: "stopped",
}
STATE = {"queued": "PENDING", "running": "RUNNING", "completed": "COMPLETED", "failed": "FAILED", "stopped": "KILLED"}
PROCESS: dict[str, str] = {
    RunStatus.STARTING: "running",
    RunStatus.RUNNING: "running",
    RunStatus.ENDING: "killing",
    RunStatus.FINISHED: "completed",
    RunStatus.FAILED: "failed",
    RunStatus.STOPPED: "stopped",
}
