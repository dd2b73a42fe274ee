"""The model of a training session, from its run directory into the registry."""

import contextlib
import shutil

from django.conf import settings

from mlserver.errors import OutOfSpace
from mlserver.heartbeat import still_at_work
from registry.blobs import Incoming
from registry.models import ArtifactType, ArtifactVersion, VersionStatus
from registry.publish import publish
from training import paths
from training.execution.classify import Outcome
from training.models import ExitClass, Run, RunArtifact, TrainingSession, Usage
from training.tracking import epochs
from training.tracking.job_files import OpenFile, opened_in_run

COPY_BYTES = 16 * 1024**2
# The largest architecture's weights have a twentieth of this; a queue task must not take longer than some seconds.
MODEL_LIMIT_BYTES = 2 * 1024**3
SPARE_BYTES = 64 * 1024**2


class AlreadyRegistered(Exception):
    """Another worker has registered the model of this run."""


def register_model(run: Run, session: TrainingSession, outcome: Outcome) -> Outcome:
    """Publish the weights as the next version of the session's model; once, however often and by whom it is asked.

    Weights that this session has registered before, in an earlier run, stay that version. Raises OutOfSpace and
    OSError while they cannot be stored.
    """
    if is_registered(run):
        return outcome
    with opened_in_run(run, paths.MODEL_NAME) as weights:
        if weights is None:
            return Outcome(ExitClass.ERROR, f"the trainer ended with {outcome.reason} and left no {paths.MODEL_NAME}")
        if weights.size > MODEL_LIMIT_BYTES:
            return Outcome(ExitClass.ERROR, f"{paths.MODEL_NAME} has {weights.size} bytes: more than any model here")
        refuse_without_space(weights.size)
        with Incoming.create() as incoming, contextlib.suppress(AlreadyRegistered):
            copy(weights, incoming)
            keep(run, session, incoming)
    with contextlib.suppress(OSError):  # the registry has it; what is left in the run directory is a copy
        (run.directory / paths.MODEL_NAME).unlink()
    return outcome


def refuse_without_space(size_bytes: int) -> None:
    """Rather than filling the disk and finding out: database and logs are on it, too."""
    if shutil.disk_usage(settings.MLSERVER_HOME).free < size_bytes + SPARE_BYTES:
        raise OutOfSpace(f"the server's disk has no room for a model of {size_bytes / 1024**2:.0f} MiB")


def copy(weights: OpenFile, incoming: Incoming) -> None:
    for start in range(0, weights.size, COPY_BYTES):
        incoming.write(weights.read(start, min(start + COPY_BYTES, weights.size)))
        still_at_work()


def keep(run: Run, session: TrainingSession, incoming: Incoming) -> None:
    known = earlier_product(session, incoming.keep())
    if known is not None:
        RunArtifact.objects.get_or_create(run=run, version=known, usage=Usage.PRODUCED)
        return
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


def earlier_product(session: TrainingSession, digest: str) -> ArtifactVersion | None:
    """The version with the same content that an earlier run of the session made, if it can still be read."""
    made = ArtifactVersion.objects.filter(runs__usage=Usage.PRODUCED, runs__run__task=session.task_id)
    return made.filter(files__blob=digest, status=VersionStatus.READY).first()


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
