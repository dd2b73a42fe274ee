"""Paths of what the processes of the server leave for each other in its home."""

from pathlib import Path

from django.conf import settings


def queue_fifo() -> Path:
    """Named pipe on which the pusher of the qcluster is woken."""
    return settings.MLSERVER_HOME / "queue.fifo"


def qcluster_beat() -> Path:
    """Touched by a queued task every few seconds; serve restarts a qcluster that stops touching it."""
    return settings.MLSERVER_HOME / "qcluster.beat"


def qcluster_asked() -> Path:
    """Touched when a beat was queued, so a queue that is away is not taken for a qcluster that is stuck."""
    return settings.MLSERVER_HOME / "qcluster.asked"


def serve_lock() -> Path:
    """Locked by the one `serve` of this home as long as it lives."""
    return settings.MLSERVER_HOME / "serve.lock"


def serve_record() -> Path:
    """Identities of serve and its children, for the next serve to end what this one left."""
    return settings.MLSERVER_HOME / "serve.json"


def qcluster_record() -> Path:
    """Identities of the processes that django-q2 started."""
    return settings.MLSERVER_HOME / "qcluster.json"


def server_logs_root() -> Path:
    """Log files of the server itself."""
    return settings.MLSERVER_HOME / "logs"
