"""The heartbeat of the qcluster: a queued task touches a file, so its age says whether tasks are still executed.

Two files: `asked` is touched when a beat was queued, `beat` when it was executed. A database that is away stops
both, so it is not mistaken for a wedged qcluster.
"""

import logging
import multiprocessing

from django.db.utils import Error as DatabaseAway
from django_q.tasks import async_task

from mlserver import paths

log = logging.getLogger(__name__)

ASK_EVERY_S = 5
STALE_AFTER_S = 15


def enqueue_beat() -> bool:
    """Queue one beat; False when the queue is away. The agent calls this every ASK_EVERY_S outside transactions."""
    try:
        async_task("mlserver.heartbeat.beat", q_options={"task_name": "beat"})
    except (DatabaseAway, OSError) as error:
        log.warning("no heartbeat was queued: %s", error)
        return False
    paths.qcluster_asked().touch()
    return True


def beat() -> str:
    """Queue task."""
    paths.qcluster_beat().touch()
    return "beat"


def is_queue_task() -> bool:
    """Whether the qcluster executes us: its workers alone are children of multiprocessing."""
    return multiprocessing.parent_process() is not None


def still_at_work() -> None:
    """Called about once a second by a queue task that takes long: it works, it is not stuck.

    Does nothing outside the qcluster.
    """
    if is_queue_task():
        paths.qcluster_beat().touch()
