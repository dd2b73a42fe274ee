"""What starts now and where, decided from facts alone; the pass writes it, a forecast only thinks it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from training.queue.flowline import DispatchCeiling
from training.queue.ledger import Ledger
from training.queue.limits import Limits
from training.queue.placement import Demand, GpuLedger, NodeLedger, Placement, place, take
from training.queue.reservation import NEVER, Reservation, place_beside, reserve
from training.queue.sessions import SessionCeiling


class Waiting(NamedTuple):
    """The columns of a waiting task that a pass looks at. `longest_s`: time limit and grace, None without a limit."""

    id: int
    pending_runs: int
    waiting_reason: str
    queue: str
    owner_id: int
    is_demo: bool
    longest_s: float | None
    demand: Demand


@dataclass
class Facts:
    """All that decisions follow from. `now`: epoch seconds."""

    ledger: Ledger
    limits: Limits
    dispatch: DispatchCeiling
    now: float
    sessions: SessionCeiling = field(default_factory=SessionCeiling)


class Decider:
    """The state of one pass: the ledger as it fills, the refusal of each kind of demand, and who is kept what."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.refusals: dict[Demand, str] = {}
        self.reservations: dict[int, Reservation] = {}
        # The shortest work of a kind that was in the way of a reservation: longer work is, too.
        self.kept: dict[Demand, tuple[float, str]] = {}

    @property
    def nodes(self) -> list[NodeLedger]:
        return self.facts.ledger.nodes

    def find(self, task: Waiting) -> Placement | str:
        """A place for one execution, or why there is none.

        Refusals are reused: within a pass the ledger only fills, so a demand once refused stays refused.
        """
        if not task.is_demo and (said := self.facts.limits.refusal(task.queue, task.owner_id, task.demand.gpus)):
            return said
        if said := self.refusals.get(task.demand, ""):
            return said
        if said := self.ceiling(task.demand):
            self.refusals[task.demand] = said
            return said
        answer = place(task.demand, self.nodes)
        if isinstance(answer, str):
            self.refusals[task.demand] = answer
            self.keep_for(task)
            return answer
        return self.beside(task) if self.reservations else answer

    def ceiling(self, demand: Demand) -> str:
        """What the door of the task allows no more."""
        if demand.is_session:
            return self.facts.sessions.refusal()
        return self.facts.dispatch.refusal() if demand.is_flowline else ""

    def keep_for(self, task: Waiting) -> None:
        """The first that cannot start gets a node kept; further ones get other nodes."""
        if len(self.reservations) == len(self.nodes):
            return
        if found := reserve(task.id, task.demand, self.nodes, self.reservations):
            node, reservation = found
            self.reservations[node.id] = reservation
            self.kept.clear()

    def beside(self, task: Waiting) -> Placement | str:
        ends_at = self.end_of(task)
        shortest, said = self.kept.get(task.demand, (NEVER, ""))
        if said and (NEVER if ends_at is None else ends_at) >= shortest:
            return said
        answer = place_beside(task.demand, self.nodes, self.reservations, ends_at)
        if isinstance(answer, str):
            self.kept[task.demand] = (NEVER if ends_at is None else ends_at, answer)
        return answer

    def end_of(self, task: Waiting) -> float | None:
        return None if task.longest_s is None else self.facts.now + task.longest_s

    def take(self, task: Waiting, placement: Placement, run_id: str) -> list[tuple[GpuLedger, int]]:
        """Write the placement into the facts; returns each device with the MiB reserved on it."""
        ends_at, demand = self.end_of(task), task.demand
        ahead = self.reservations.get(placement.node.id)
        if ahead is not None and ahead.is_outlived_by(ends_at):
            ahead.take(demand)
        if not task.is_demo:
            self.facts.limits.usage.add(task.queue, task.owner_id, demand.gpus)
        if demand.is_flowline:
            self.facts.dispatch.take()
        if demand.is_session:
            self.facts.sessions.take()
        return take(placement, demand, run_id, ends_at=ends_at, queue=task.queue, owner_id=task.owner_id)


BEFORE_DEMAND = 7


def waiting_of(rows: Iterable[tuple[Any, ...]], names: tuple[str, ...]) -> list[Waiting]:
    """From rows of (id, pending_runs, waiting_reason, queue, owner, limit, grace, *demand). Few demands are made."""
    known: dict[tuple[Any, ...], tuple[Demand, bool]] = {}
    waiting = []
    for row in rows:
        wanted = row[BEFORE_DEMAND:]
        if wanted not in known:
            columns = dict(zip(names, wanted, strict=True))
            known[wanted] = Demand.of(columns), columns["is_demo"]
        demand, is_demo = known[wanted]
        id_, pending, said, queue, owner_id, limit_s, grace_s = row[:BEFORE_DEMAND]
        longest_s = None if limit_s is None else limit_s + grace_s
        waiting.append(Waiting(id_, pending, said, queue, owner_id, is_demo, longest_s, demand))
    return waiting
