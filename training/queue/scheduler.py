"""One scheduling pass: order the waiting tasks, place what fits, say why the others wait.

A pass is one short write transaction over database facts, one at a time: SQLite begins it IMMEDIATE, PostgreSQL
takes an advisory lock. Anything may ask for a pass at any moment; a pass that places nothing costs six queries.
"""

from django.db import connection, transaction
from django.utils import timezone

from gpus.models import DEFAULT_POOL
from mlserver.enqueue import enqueue
from mlserver.prepared import Prepared
from training.models import Lease, Run, RunArtifact, RunProcess, Task, Usage
from training.models.run import new_run_id
from training.queue.deciding import Decider, Facts, Waiting, waiting_of
from training.queue.flowline import DispatchCeiling
from training.queue.ledger import read_ledger
from training.queue.limits import Limits
from training.queue.placement import DEMAND_FIELDS, Placement
from training.queue.reasons import write_reasons

# Placements of one pass: it holds the database's one writer, so the rest is for the next.
PLACE_AT_ONCE = 50
PASS_LOCK = 0x6D6C7061  # any constant: the advisory lock of passes


WAITING_COLUMNS = ("id", "pending_runs", "waiting_reason", "queue", "owner_id", "time_limit_s", "grace_s")
IN_TURN = Prepared(lambda now: Task.objects.placeable(now).values_list(*WAITING_COLUMNS, *DEMAND_FIELDS))
TO_PLACE = Prepared(lambda now, pk: Task.objects.placeable(now).select_for_update(no_key=True).filter(pk=pk)[:1])


def schedule() -> list[str]:
    """Run one pass; returns the ids of the runs it placed, for the caller to launch."""
    with transaction.atomic():
        lock_pass()
        waiting = read_waiting()
        if not waiting:
            return []
        return Pass(facts_for(waiting)).run(waiting)


def facts_for(waiting: list[Waiting]) -> Facts:
    """What a pass decides by; what nobody asks for is not read."""
    dispatch = DispatchCeiling()
    demands = {task.demand for task in waiting}
    has_flowline = any(demand.is_flowline for demand in demands)
    ledger = read_ledger(
        with_gpus=any(demand.gpus for demand in demands),
        with_pools=any(demand.pool != DEFAULT_POOL for demand in demands),
        flowline_mib=dispatch.rules.min_free_mib if has_flowline else 0,
    )
    return Facts(ledger, Limits(ledger.usage), dispatch, now=timezone.now().timestamp())


def schedule_and_launch() -> list[str]:
    """A pass whose placements are launched by the qcluster, as soon as this transaction commits."""
    placed = schedule()
    for run_id in placed:
        enqueue("training.queue.tasks.launch", run_id)
    return placed


def lock_pass() -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PASS_LOCK])


def read_waiting() -> list[Waiting]:
    """Waiting tasks in the order of their turn."""
    return waiting_of(IN_TURN.rows(timezone.now()), DEMAND_FIELDS)


class Pass:
    """Carries out what the decider says, and keeps the sentences of the others true."""

    def __init__(self, facts: Facts) -> None:
        self.decider = Decider(facts)
        self.placed: list[str] = []
        self.changed: list[tuple[int, str]] = []

    def run(self, waiting: list[Waiting]) -> list[str]:
        for task in waiting:
            if len(self.placed) >= PLACE_AT_ONCE:
                enqueue("training.queue.tasks.schedule")
                break
            self.place_task(task)
        write_reasons(self.changed)
        return self.placed

    def place_task(self, task: Waiting) -> None:
        """Place as many of the task's executions as fit, in parallel; keep its sentence true."""
        said = task.waiting_reason
        for _ in range(min(task.pending_runs, PLACE_AT_ONCE - len(self.placed))):
            answer = self.decider.find(task)
            if isinstance(answer, str):
                if answer != said:
                    self.changed.append((task.id, answer))
                return
            run_id = self.start(task, answer)
            if run_id is None:
                return
            self.placed.append(run_id)
            said = ""  # a placement clears the sentence

    def start(self, waiting: Waiting, placement: Placement) -> str | None:
        """Write run, processes, leases, event and task of one placement.

        None when the task was stopped, held or changed since it was read, as PostgreSQL allows during a pass.
        """
        task = TO_PLACE.first(timezone.now(), waiting.id)
        if task is None or waiting != waiting_as(task, waiting):
            return None
        shared = {name: getattr(task, name) for name in ("owner_id", "source", "project", "name", "tags", "config")}
        run = Run.objects.create(
            id=new_run_id(),
            task=task,
            node_id=placement.node.id,
            gpus=len(placement.gpus),
            cpus=waiting.demand.cpus,
            memory_mib=waiting.demand.memory_mib,
            attempt=task.runs.count() + 1 if task.started_at else 1,
            **shared,
        )
        RunProcess.objects.bulk_create(RunProcess(run=run, rank=rank) for rank in range(task.ranks))
        taken = self.decider.take(waiting, placement, run.pk)
        leases = [
            Lease(run=run, gpu_id=gpu.id, memory_mib=mib, is_exclusive=waiting.demand.is_exclusive)
            for gpu, mib in taken
        ]
        Lease.objects.bulk_create(leases)
        if task.is_session:
            RunArtifact.objects.create(run=run, version=task.session.dataset_version, usage=Usage.USED)
        task.activate(run.pk, placement.where())
        return run.pk


def waiting_as(task: Task, seen: Waiting) -> Waiting:
    """What would be decided of the task as it is now, where only its sentence may be another."""
    columns = [getattr(task, name) for name in (*WAITING_COLUMNS, *DEMAND_FIELDS)]
    [now] = waiting_of([tuple(columns)], DEMAND_FIELDS)
    return now._replace(waiting_reason=seen.waiting_reason, pending_runs=seen.pending_runs)
