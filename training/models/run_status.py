"""Statuses of runs with their groups, and the ways in which runs end."""

from django.db import models


class RunStatus(models.TextChoices):
    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"


ACTIVE = (RunStatus.STARTING, RunStatus.RUNNING, RunStatus.ENDING)
ENDED = (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.STOPPED)


class ExitClass(models.TextChoices):
    OK = "ok", "OK"
    ERROR = "error"
    OOM = "oom", "OOM"
    KILLED = "killed"
    TIMEOUT = "timeout"
    STOPPED = "stopped"
    NODE_LOST = "node_lost"
    LAUNCH_FAILED = "launch_failed"
