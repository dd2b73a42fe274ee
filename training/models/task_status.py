"""Statuses of tasks with their groups, and the doors that tasks and runs come in by."""

from django.db import models


class TaskStatus(models.TextChoices):
    HELD = "held"
    WAITING = "waiting"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


ENDED = (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.STOPPED)
UNSTARTED = (TaskStatus.HELD, TaskStatus.WAITING)
UNENDED = (TaskStatus.HELD, TaskStatus.WAITING, TaskStatus.ACTIVE)


class Source(models.TextChoices):
    """The door a task or run came in by."""

    NATIVE = "native"
    COMMAND_LINE = "command_line"
    SDK = "sdk", "SDK"
    FLOWLINE = "flowline"
    RUNICORN = "runicorn"
    JOBS = "jobs"
    TRAINING = "training"
    DEMO = "demo"
