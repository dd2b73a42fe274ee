"""Finish a run from its exit records: what they say of its processes, and the outcome that counts."""

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from mlserver.enqueue import enqueue
from mlserver.errors import OutOfSpace
from mlserver.prepared import Prepared
from training.execution.classify import Outcome, classify, kernel_log_since
from training.execution.control import Control
from training.execution.harvest import NotDone, harvest
from training.execution.images import end_containers
from training.execution.last_words import last_lines
from training.execution.settle import settle
from training.models import Event, ExitClass, Run, RunProcess

TO_FINISH = Prepared(lambda pk: Run.objects.select_related("task", "node").filter(pk=pk)[:1])
RANKS = Prepared(lambda run_id: RunProcess.objects.filter(run_id=run_id).values_list("rank"))


def finish(run_id: str) -> str:
    """End the run once all its processes have exit records; safe to call any number of times."""
    run = TO_FINISH.first(run_id)
    if run is None or run.has_ended:
        return f"{run_id}: nothing to finish"
    records = {rank: Control(run_id, rank).read("exit") for (rank,) in RANKS.rows(run_id)}
    ended = {rank: record for rank, record in records.items() if record is not None}
    if not ended:
        return f"{run_id}: no exit record yet"
    outcomes = {rank: outcome_of(run, rank, record) for rank, record in ended.items()}
    rank, outcome = worst(outcomes)
    if len(ended) < len(records):
        return end_other_ranks(run, outcome, set(records) - set(ended))
    if run.task is not None and run.task.image:
        end_containers(run.task.image, run_id)
    try:
        outcome = harvest(run, outcome, rank=rank)
    except NotDone:
        ask_for_finish(run_id)
        return f"{run_id}: what it left is still being read"
    except (OSError, OutOfSpace) as error:
        Event.objects.say_again("NotRegistered", f"what the run left cannot be stored yet: {error}", run=run)
        return f"{run_id}: waits for storage, {error}"
    for ended_rank, record in ended.items():
        note_process(run, ended_rank, record)
    warnings = [warning for record in ended.values() for warning in warnings_of(record)]
    settle(run, outcome.status, outcome.exit_class, outcome.reason, warnings=warnings, **facts_of(ended[rank]))
    return f"{run_id}: {outcome.status}, {outcome.exit_class}"


def outcome_of(run: Run, rank: int, record: dict[str, Any]) -> Outcome:
    lines = "" if record.get("exit_code") == 0 else last_lines(run, rank)
    if record.get("stop_reason") == "terminated" and run.stop_requested_at is not None:
        record = {**record, "stop_reason": "stopped"}  # the order could not be written, the signal came through
    was_sigkilled = record.get("exit_signal") == 9 or record.get("exit_code") == 137
    kernel_log = kernel_log_since(record.get("started_at") or 0) if was_sigkilled else None
    return classify(record, lines, kernel_log)


def worst(outcomes: dict[int, Outcome]) -> tuple[int, Outcome]:
    """The outcome that decides: a failure of its own before one that followed from another rank's."""
    order = [ExitClass.OK, ExitClass.STOPPED]
    return max(
        outcomes.items(),
        key=lambda item: (
            item[1].exit_class not in order,
            item[1].exit_class != ExitClass.OK,
            "another rank" not in item[1].reason,
        ),
    )


def end_other_ranks(run: Run, outcome: Outcome, waiting_for: set[int]) -> str:
    """A rank that fails ends the others; one that is done waits for them."""
    if outcome.exit_class != ExitClass.OK:
        for rank in waiting_for:
            grace_s = run.task.grace_s if run.task else 10.0
            Control(run.pk, rank).order_stop("rank_failed", grace_s)
    return f"{run.pk}: waits for rank {', '.join(map(str, sorted(waiting_for)))}"


def note_process(run: Run, rank: int, record: dict[str, Any]) -> None:
    """What the exit record says of one process, and events for what went wrong beside it."""
    RunProcess.objects.filter(run=run, rank=rank).update(
        pid=record.get("pid"),
        started_at=instant(record.get("started_at")) if record.get("pid") else None,
        ended_at=instant(record.get("ended_at")),
        exit_code=record.get("exit_code"),
        exit_signal=record.get("exit_signal"),
        max_rss_mib=(record.get("max_rss_kib") or 0) // 1024 or None,
        cpu_s=record.get("cpu_s"),
    )


def warnings_of(record: dict[str, Any]) -> list[tuple[str, str]]:
    """(reason, message) of what the supervisor noticed and the run survived."""
    said = []
    if record.get("lost_bytes") or any(str(note).startswith("log:") for note in record.get("notes", [])):
        why = "; ".join(map(str, record.get("notes", [])))
        said.append(("LogLost", f"{record.get('lost_bytes', 0)} bytes of output could not be written ({why})"))
    if record.get("dropped_bytes"):
        said.append(("LogLimit", f"the log reached its limit; {record['dropped_bytes']} bytes of output were dropped"))
    said += [("LogRestored", str(note)) for note in record.get("notes", []) if "put back" in str(note)]
    if record.get("leftovers"):
        said.append(("LeftoversEnded", f"{record['leftovers']} processes outlived the command and were told to end"))
    return said


def facts_of(record: dict[str, Any]) -> dict[str, Any]:
    facts = {"exit_code": record.get("exit_code"), "exit_signal": record.get("exit_signal")}
    facts["ended_at"] = instant(record.get("ended_at")) or timezone.now()
    if record.get("pid"):
        facts["started_at"] = instant(record.get("started_at"))
    return facts


def instant(epoch_s: float | None) -> datetime | None:
    return datetime.fromtimestamp(epoch_s, UTC) if epoch_s else None


def ask_for_finish(run_id: str) -> None:
    enqueue("training.queue.tasks.finish", run_id)
