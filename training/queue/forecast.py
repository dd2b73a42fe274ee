"""Dry runs: when and where a task would start, or why not, by the code that decides passes. Nothing is written."""

import time
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from training.models import Task
from training.models.turn import turn_of
from training.queue.deciding import Decider, Facts, Waiting, waiting_of
from training.queue.names import check_pool, queue_priority
from training.queue.needs import Needs
from training.queue.placement import DEMAND_FIELDS, Placement
from training.queue.scheduler import WAITING_COLUMNS, facts_for
from training.queue.spec import TaskSpec

# Looking further ahead would hold the request, and the limits of so much work are no promise anyway.
PATIENCE_S = 0.5


def dry_run(spec: TaskSpec, *, owner: User) -> dict[str, Any]:
    """What would become of `spec` (of an array, its first task) if `owner` submitted it now.

    `starts_at` is now where it would start at once; else the latest instant that time limits promise, with the place
    it would get then, or None where work without a limit is in the way. `position` is the place it would have in the
    line of waiting tasks; 1 is next, one that is held or depends on others has none.
    """
    check_pool(spec.pool)
    turn = turn_of(timezone.now(), spec.priority + queue_priority(spec.queue))
    needs = Needs.look(spec.depends_on)
    if spec.hold or needs.unmet:
        return answer("held" if spec.hold else needs.failure or needs.reason())
    ahead = Task.objects.placeable().filter(turn__lte=turn)
    line = waiting_of(ahead.values_list(*WAITING_COLUMNS, *DEMAND_FIELDS), DEMAND_FIELDS)
    mine = hypothetical(spec.members()[0], owner)
    return Forecast(facts_for([*line, mine]), line, mine).play() | {"position": len(line) + 1}


def hypothetical(spec: TaskSpec, owner: User) -> Waiting:
    """The task as a pass would see it, under an id that no task has."""
    columns = {**spec.task_fields(), "id": 0, "pending_runs": 1, "waiting_reason": "", "owner_id": owner.pk}
    columns.setdefault("source", "flowline" if spec.is_flowline else "")
    [seen] = waiting_of([tuple(columns[name] for name in (*WAITING_COLUMNS, *DEMAND_FIELDS))], DEMAND_FIELDS)
    return seen


class Forecast:
    """Passes, one after the other: now, and at each instant at which a time limit ends a run."""

    def __init__(self, facts: Facts, line: list[Waiting], mine: Waiting) -> None:
        self.facts = facts
        self.line = line
        self.mine = mine
        self.started = 0

    def play(self) -> dict[str, Any]:
        now, deadline = self.facts.now, time.monotonic() + PATIENCE_S
        found = first = self.run_pass()
        while isinstance(found, str) and time.monotonic() < deadline and self.advance():
            found = self.run_pass()
        if isinstance(found, str):
            return answer(str(first))
        reason = first if isinstance(first, str) else ""
        return answer(reason, found, at=datetime.fromtimestamp(max(self.facts.now, now), UTC))

    def run_pass(self) -> Placement | str:
        """Place what is ahead as far as it fits, then look for a place."""
        decider = Decider(self.facts)
        self.line = [left for task in self.line if (left := self.place(decider, task)).pending_runs]
        return decider.find(self.mine)

    def place(self, decider: Decider, task: Waiting) -> Waiting:
        """The task with the executions that found no place."""
        for placed in range(task.pending_runs):
            found = decider.find(task)
            if isinstance(found, str):
                return task._replace(pending_runs=task.pending_runs - placed)
            self.started += 1
            decider.take(task, found, f"forecast {self.started}")
        return task._replace(pending_runs=0)

    def advance(self) -> bool:
        """Let the next runs end; False when nobody knows of any."""
        ends = {
            holder.ends_at for node in self.facts.ledger.nodes for holder in node.holders.values() if holder.ends_at
        }
        if not ends:
            return False
        self.facts.now = max(self.facts.now, min(ends))
        for node in self.facts.ledger.nodes:
            for run_id, holder in list(node.holders.items()):
                if holder.ends_at and holder.ends_at <= self.facts.now:
                    node.release(run_id)
                    self.facts.limits.usage.remove(holder.queue, holder.owner_id, holder.gpus)
        return True


def answer(reason: str, found: Placement | None = None, at: datetime | None = None) -> dict[str, Any]:
    return {
        "would_start": found is not None and not reason,
        "starts_at": at,
        "node": found.node.name if found else None,
        "gpus": [gpu.index for gpu in found.gpus] if found else [],
        "waiting_reason": reason,
        "position": None,
    }
