"""One scheduling pass: order the waiting tasks, place what fits, say why the others wait.

A pass is one short write transaction over database facts, one at a time: SQLite begins it IMMEDIATE, PostgreSQL
takes an advisory lock. Anything may ask for a pass at any moment; a pass with nothing to do costs five queries.
"""

from dataclasses import dataclass

from django.db import connection, transaction

from gpus.models import DEFAULT_POOL
from mlserver.enqueue import enqueue
from training.models import Lease, Run, RunArtifact, RunProcess, Task, Usage
from training.models.run import new_run_id
from training.queue.flowline import DispatchCeiling
from training.queue.ledger import read_ledger
from training.queue.placement import DEMAND_FIELDS, Demand, NodeLedger, Placement, place, take
from training.queue.reasons import write_reasons
from training.queue.sessions import SessionCeiling

# Placements of one pass: it holds the database's one writer, so the rest is for the next.
PLACE_AT_ONCE = 50
PASS_LOCK = 0x6D6C7061  # any constant: the advisory lock of passes


@dataclass(frozen=True)
class Waiting:
    """The columns of a waiting task that a pass looks at."""

    id: int
    pending_runs: int
    waiting_reason: str
    demand: Demand


def schedule() -> list[str]:
    """Run one pass; returns the ids of the runs it placed, for the caller to launch."""
    with transaction.atomic():
        lock_pass()
        waiting = read_waiting()
        if not waiting:
            return []
        return Pass(*facts_for(waiting)).run(waiting)


def facts_for(waiting: list[Waiting]) -> tuple[list[NodeLedger], DispatchCeiling]:
    """What a pass decides by; what nobody asks for is not read."""
    dispatch = DispatchCeiling()
    with_gpus = any(task.demand.gpus for task in waiting)
    with_pools = any(task.demand.pool != DEFAULT_POOL for task in waiting)
    with_flowline = any(task.demand.is_flowline for task in waiting)
    floor_mib = dispatch.rules.min_free_mib if with_flowline else 0
    return read_ledger(with_gpus=with_gpus, with_pools=with_pools, flowline_mib=floor_mib), dispatch


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
    """Waiting tasks in the order of their turn: priority, then age."""
    rows = Task.objects.placeable().values("id", "pending_runs", "waiting_reason", *DEMAND_FIELDS)
    return [Waiting(row["id"], row["pending_runs"], row["waiting_reason"], Demand.of(row)) for row in rows]


class Pass:
    """The state of one pass: the ledger as it fills, and the refusal of each kind of demand."""

    def __init__(self, nodes: list[NodeLedger], dispatch: DispatchCeiling) -> None:
        self.nodes = nodes
        self.dispatch = dispatch
        self.sessions = SessionCeiling()
        self.refusals: dict[Demand, str] = {}
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
            answer = self.find(task.demand)
            if isinstance(answer, str):
                if answer != said:
                    self.changed.append((task.id, answer))
                return
            run_id = self.start(task, answer)
            if run_id is None:
                return
            self.placed.append(run_id)
            said = ""  # a placement clears the sentence

    def find(self, demand: Demand) -> Placement | str:
        """Refusals are reused: within a pass the ledger only fills, so a demand once refused stays refused."""
        if demand in self.refusals:
            return self.refusals[demand]
        answer = self.ceiling(demand) or place(demand, self.nodes)
        if isinstance(answer, str):
            self.refusals[demand] = answer
        return answer

    def ceiling(self, demand: Demand) -> str:
        """What the door of the task allows no more."""
        if demand.is_session:
            return self.sessions.refusal()
        return self.dispatch.refusal() if demand.is_flowline else ""

    def start(self, waiting: Waiting, placement: Placement) -> str | None:
        """Write run, processes, leases, event and task of one placement.

        None when the task was stopped, held or changed since it was read, as PostgreSQL allows during a pass.
        """
        task = Task.objects.placeable().select_for_update(no_key=True).filter(pk=waiting.id).first()
        if task is None or Demand.of(vars(task)) != waiting.demand:
            return None
        shared = {name: getattr(task, name) for name in ("owner_id", "source", "project", "name", "tags", "config")}
        run = Run.objects.create(
            id=new_run_id(),
            task=task,
            node_id=placement.node.id,
            gpus=len(placement.gpus),
            cpus=waiting.demand.cpus,
            memory_mib=waiting.demand.memory_mib,
            attempt=task.runs.count() + 1,
            **shared,
        )
        RunProcess.objects.bulk_create(RunProcess(run=run, rank=rank) for rank in range(task.ranks))
        taken = take(placement, waiting.demand, run.pk)
        leases = [
            Lease(run=run, gpu_id=gpu.id, memory_mib=mib, is_exclusive=waiting.demand.is_exclusive)
            for gpu, mib in taken
        ]
        Lease.objects.bulk_create(leases)
        if waiting.demand.is_flowline:
            self.dispatch.take()
        if task.is_session:
            self.sessions.take()
            RunArtifact.objects.create(run=run, version=task.session.dataset_version, usage=Usage.USED)
        task.activate(run.pk, placement.where())
        return run.pk
