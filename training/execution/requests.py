"""Requests that the agent repeats: the queue may lose a message, so whatever stays undone is asked again."""

import logging
import time
from datetime import timedelta
from itertools import groupby

from django.utils import timezone

from gpus.models import Gpu, Node
from mlserver.enqueue import enqueue
from training.execution.control import Control
from training.execution.finish import ask_for_finish
from training.execution.watch import Watch
from training.models import Run, RunStatus, Task, TaskSchedule

log = logging.getLogger(__name__)

UNLAUNCHED_S = 3.0
ASK_AGAIN_S = 3.0
PASS_AT_LEAST_EVERY_S = 10.0

_asked_at: dict[tuple[str, str], float] = {}
_seen: dict[str, object] = {}


def repeat(node: Node, watch: Watch) -> None:
    """One look at all active runs of the node and at the waiting tasks: two queries when nothing is amiss."""
    rows = Run.objects.queued().active().filter(node=node).order_by("pk", "processes__rank")
    columns = rows.values_list("pk", "status", "created_at", "processes__rank")
    now = timezone.now()
    alive = set()
    for (run_id, status, created_at), processes in groupby(columns, key=lambda row: row[:3]):
        alive.add(run_id)
        ranks = tuple(rank for *_, rank in processes if rank is not None)
        is_old = now - created_at > timedelta(seconds=UNLAUNCHED_S)
        try:
            repeat_for_run(run_id, ranks, status, watch, is_old=is_old)
        except OSError as error:  # of one run, a full disk say: the others must not wait for it
            log.warning("%s is looked at again later: %s", run_id, error)
    for key in [key for key in _asked_at if key[1] and key[1] not in alive]:
        del _asked_at[key]
    repeat_pass(node)


def repeat_for_run(run_id: str, ranks: tuple[int, ...], status: str, watch: Watch, *, is_old: bool) -> None:
    unended = tuple(rank for rank in ranks if not Control(run_id, rank).read("exit"))
    watch.look_at(run_id, unended)
    if len(unended) < len(ranks):
        if may_ask("finish", run_id):
            ask_for_finish(run_id)
        return
    if status == RunStatus.STARTING and is_old and may_ask("launch", run_id):
        enqueue("training.queue.tasks.launch", run_id)
    if status == RunStatus.ENDING and is_old and may_ask("stop", run_id):
        enqueue("training.queue.tasks.stop", run_id)


def repeat_pass(node: Node) -> None:
    """A pass when a back-off is over, when GPUs changed, and from time to time while anything waits."""
    if not Task.objects.placeable().exists():
        return
    due = Task.objects.placeable().filter(not_before__gt=timezone.now() - timedelta(seconds=2)).exists()
    changed = gpus_changed(node)
    if due or changed or may_ask("pass", "", PASS_AT_LEAST_EVERY_S):
        ask_for_pass()


def repeat_schedules() -> None:
    """Asked until it is done: what is due stays due."""
    if TaskSchedule.objects.due(timezone.now()).exists():
        enqueue("training.queue.tasks.fire_schedules")


def ask_for_pass() -> None:
    enqueue("training.queue.tasks.schedule")


def gpus_changed(node: Node) -> bool:
    """Did what the pass would see of the devices change since the last look?"""
    columns = ("pk", "is_enabled", "is_present", "quarantined_at", "foreign_process_count", "foreign_memory_mib")
    seen = list(Gpu.objects.filter(node=node).values_list(*columns))
    changed = _seen.get("gpus") != seen
    _seen["gpus"] = seen
    return changed


def may_ask(what: str, run_id: str, period_s: float = ASK_AGAIN_S) -> bool:
    """At most once per period; the first time one period after it was first seen undone."""
    now = time.monotonic()
    first = _asked_at.setdefault((what, run_id), now)
    if now - first < period_s:
        return False
    _asked_at[what, run_id] = now
    return True
