"""What a run leaves when it ends: its last metrics; of a training session the model, or why there is none."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace

from registry.blobs import Incoming
from registry.models import ArtifactType, ArtifactVersion
from registry.publish import publish
from training import paths
from training.execution.classify import Outcome
from training.execution.last_words import last_line
from training.models import ExitClass, Run, RunArtifact, TrainingSession, Usage
from training.tracking import epochs, intake
from training.tracking.job_files import OpenFile, opened_below

COPY_BYTES = 4 * 1024**2
FAILURE_BYTES, REASON_LENGTH = 64 * 1024, 2000
OUT_OF_MEMORY = "out_of_memory"


class AlreadyRegistered(Exception):
    """Another worker has registered the model of this run."""


def harvest(run: Run, outcome: Outcome, *, rank: int = 0) -> Outcome:
    """Take in what the run left, and say how it ended. Safe to repeat.

    All its processes have ended; the outcome is that of `rank`. Raises OutOfSpace and OSError while the model cannot
    be stored: the run stays as it is and is looked at again.
    """
    intake.take_in(run, is_over=True)
    if run.task is None or not run.task.is_session:
        return outcome
    if outcome.exit_class == ExitClass.OK:
        return register_model(run, run.task.session, outcome)
    return explained(run, outcome, rank)


def register_model(run: Run, session: TrainingSession, outcome: Outcome) -> Outcome:
    """Publish the weights as the next version of the session's model; once, however often and by whom it is asked."""
    if is_registered(run):
        return outcome
    with opened_in_run(run, paths.MODEL_NAME) as weights, contextlib.suppress(AlreadyRegistered):
        if weights is None:
            return Outcome(ExitClass.ERROR, f"the trainer ended with {outcome.reason} and left no {paths.MODEL_NAME}")
        with Incoming.create() as incoming:
            for start in range(0, weights.size, COPY_BYTES):
                incoming.write(weights.read(start, min(start + COPY_BYTES, weights.size)))
            publish(
                incoming,
                type=ArtifactType.MODEL,
                name=session.model_name,
                owner=run.owner,
                file_name=paths.MODEL_NAME,
                metadata=metadata_of(run, session),
                must_be_new=False,
                also=lambda version: note_product(run, version),
            )
    with contextlib.suppress(OSError):  # the registry has it; what is left in the run directory is a copy
        (run.directory / paths.MODEL_NAME).unlink()
    return outcome


def is_registered(run: Run) -> bool:
    return RunArtifact.objects.filter(run=run, usage=Usage.PRODUCED).exists()


def note_product(run: Run, version: ArtifactVersion) -> None:
    """Called in the transaction that publishes, after a lock that lets one worker through at a time."""
    Run.objects.select_for_update(no_key=True).get(pk=run.pk)
    if is_registered(run):
        raise AlreadyRegistered(run.pk)
    RunArtifact.objects.create(run=run, version=version, usage=Usage.PRODUCED)


def metadata_of(run: Run, session: TrainingSession) -> dict[str, object]:
    """What the model was trained with, on and to: its configuration, and the numbers of its last epoch."""
    numbers = session.epoch_rows.order_by("-epoch").values(*epochs.COLUMNS, "epoch").first()
    return {
        "config": run.config,
        "metrics": numbers or {},
        "session_id": session.pk,
        "run_id": run.pk,
        "dataset_version": session.dataset_version_id,
    }


def explained(run: Run, outcome: Outcome, rank: int) -> Outcome:
    """A failure in the words of the trainer; of one that came to no words, with the last line of its log."""
    if outcome.exit_class not in (ExitClass.ERROR, ExitClass.OOM):
        return outcome
    error, kind = told_failure(run)
    if error:
        return Outcome(ExitClass.OOM if kind == OUT_OF_MEMORY else outcome.exit_class, error)
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
    return error.replace("\0", "").encode(errors="replace").decode()[:REASON_LENGTH].strip(), kind


@contextlib.contextmanager
def opened_in_run(run: Run, name: str) -> Iterator[OpenFile | None]:
    with opened_below(paths.runs_root(), run.directory / name) as file:
        yield file
