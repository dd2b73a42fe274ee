"""What a run leaves when it ends: its last metrics and words; of a training session the model, or why there is none."""

import json
from dataclasses import replace

from mlserver.text import storable
from training import paths
from training.execution.classify import Outcome
from training.execution.last_words import last_line
from training.execution.registration import register_model
from training.models import Event, ExitClass, Run
from training.tracking import intake, told
from training.tracking.environment import take_in_environment
from training.tracking.job_files import opened_in_run
from training.trainer.catalog import UNTOLD_EXIT_CODE

TAKE_IN_S = 5.0
FAILURE_BYTES, REASON_LENGTH = 64 * 1024, 2000
OUT_OF_MEMORY = "out_of_memory"


class NotDone(Exception):
    """More is left than one queue task should take in; call again."""


def harvest(run: Run, outcome: Outcome, *, rank: int = 0) -> Outcome:
    """Take in what the run left, and say how it ended. Safe to repeat.

    All its processes have ended; the outcome is that of `rank`. Raises NotDone after some seconds of reading, and
    OutOfSpace or OSError while the model cannot be stored: the run stays as it is and is looked at again.
    """
    if not intake.take_in_rest(run, within_s=TAKE_IN_S):
        raise NotDone(run.pk)
    told.take_in_summary(run)
    take_in_environment(run)
    if run.task is None or not run.task.is_session:
        return heard(run, outcome)
    if outcome.exit_class == ExitClass.OK:
        return register_model(run, run.task.session, outcome)
    return explained(run, outcome, rank)


def heard(run: Run, outcome: Outcome) -> Outcome:
    """With what the script said of its end, which decides nothing: only the exit code is proof."""
    said = told.ending(run)
    if outcome.exit_class == ExitClass.OK and said.is_failure:
        Event.objects.say_again("SaidFailed", f"exit code 0, though its script said: {said}", run=run)
    if outcome.exit_class != ExitClass.ERROR or not said.reason:
        return outcome
    return replace(outcome, reason=f"{outcome.reason}; its script said: {said.reason}")


def explained(run: Run, outcome: Outcome, rank: int) -> Outcome:
    """A failure in the words of the trainer; of one that came to no words, with the last line of its log."""
    if outcome.exit_class not in (ExitClass.ERROR, ExitClass.OOM):
        return outcome
    error, kind = told_failure(run)
    if error:
        return Outcome(ExitClass.OOM if kind == OUT_OF_MEMORY else outcome.exit_class, error)
    if outcome.reason == f"exit code {UNTOLD_EXIT_CODE}":
        return replace(outcome, reason="it could not write down why it failed: the disk is full or its directory gone")
    last = last_line(run, rank)
    return replace(outcome, reason=f"{outcome.reason}; its last line says: {last}") if last else outcome


def told_failure(run: Run) -> tuple[str, object]:
    """Sentence and kind of the trainer's failure record, an empty sentence without one that can be read."""
    with opened_in_run(run, paths.FAILURE_NAME) as file:
        said = file.read(0, min(file.size, FAILURE_BYTES)) if file is not None else b""
    try:
        failure = json.loads(said)
        error, kind = failure["error"], failure.get("kind")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "", None
    if not isinstance(error, str):
        return "", None
    return storable(error)[:REASON_LENGTH].strip(), kind
