"""Training by name: checks a submission, makes its task and session in one, and stops or cancels them."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from gpus.models import Gpu
from mlserver.errors import BadRequest, Conflict, NotFound, Unavailable, shown
from mlserver.text import is_storable
from registry.models import Artifact, ArtifactType, ArtifactVersion, DatasetFacts
from registry.publish import readable_path
from training import paths
from training.execution.account import why_no_training_starts
from training.models import Source, Task, TrainingSession
from training.models.session import QUEUED_STATUSES, new_session_id
from training.queue.control import stop_task
from training.queue.spec import Refused, TaskSpec, checked, whole
from training.queue.submit import submit
from training.trainer.catalog import ARCHITECTURES, LOSS_FUNCTIONS, OPTIMIZERS, objection

PROJECT = "training"
GRACE_S = 30
MOST_NAMED = 20


def a_name(value: object) -> str:
    """Whether such a name exists is another question, and another answer."""
    if not isinstance(value, str) or not 1 <= len(value) <= 100 or not is_storable(value):
        raise refused(value, "text of 1 to 100 characters")
    return value


def number(low: float, high: float) -> Callable[[object], float]:
    """Bounds included. NaN is in no range."""

    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise refused(value, f"a number from {low:g} to {high:g}")
        return float(value)

    return check


def one_of(*words: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise refused(value, f"one of {', '.join(words)}")
        return value

    return check


def refused(value: object, rule: str) -> Refused:
    return Refused(f"{shown(value)} is not {rule}")


RULES: dict[str, Callable[[object], Any]] = {
    "model_architecture": a_name,
    "dataset_name": a_name,
    "learning_rate": number(0.0001, 1),
    "batch_size": whole(1, 256),
    "epochs": whole(1, 1000),
    "optimizer": one_of(*OPTIMIZERS),
    "loss_function": one_of(*LOSS_FUNCTIONS),
}
REQUIRED = {
    "model_architecture": f"is required: one of {', '.join(ARCHITECTURES)}",
    "dataset_name": "is required: the name of a registered dataset",
    "learning_rate": "is required: a number from 0.0001 to 1",
    "batch_size": "is required: a whole number from 1 to 256",
    "epochs": "is required: a whole number from 1 to 1000",
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """The seven fields of a session, in the order of the API's document."""

    model_architecture: str
    dataset_name: str
    learning_rate: float
    batch_size: int
    epochs: int
    optimizer: str = "adam"
    loss_function: str = "cross_entropy"

    @classmethod
    def clean(cls, data: Mapping[str, object]) -> "Config":
        """Unknown fields are ignored; raises Invalid with every refused field."""
        return cls(**checked(data, RULES, required=REQUIRED))


FIELDS = tuple(Config.__dataclass_fields__)


def start(data: Mapping[str, object], *, owner: User, source: str = Source.TRAINING) -> TrainingSession:
    """The committed session after one scheduling pass: its task is active, or waits in the queue.

    Raises Invalid for values outside their rules, and BadRequest for names that nobody knows and for data that
    this architecture or loss cannot be trained on, or that is deleted at the same moment. Raises Unavailable while the
    account of jobs cannot come to Python: an administrator must open the way.
    """
    config = Config.clean(data)
    if config.model_architecture not in ARCHITECTURES:
        there_are = ", ".join(ARCHITECTURES)
        raise BadRequest(f"there is no architecture {shown(config.model_architecture)}; there are {there_are}")
    version = _dataset(config.dataset_name)
    _check_fit(config, version)
    if reason := why_no_training_starts():
        raise Unavailable(reason)
    session = TrainingSession(id=new_session_id(), dataset_version=version, **asdict(config))

    def write_session(task: Task) -> None:
        _hold(version)
        session.task = task
        session.save(force_insert=True)

    session.task = submit(_spec(session, config), owner=owner, source=source, also=write_session)
    return session


def stop(session: TrainingSession, why: str) -> TrainingSession:
    """Ask a running session to end after its batch, or cancel a queued one; the stop is recorded when this returns.

    Raises Conflict when it has ended or was stopped before; of two at once one is a Conflict.
    """
    try:
        session.task = stop_task(session.task, why)
    except Conflict as conflict:
        raise _in_another_state(session, "only a queued or running one can be stopped") from conflict
    return session


def cancel(session: TrainingSession, why: str) -> TrainingSession:
    """Take a session out of the queue. Raises Conflict unless it is queued; a pass at the same time waits."""
    with transaction.atomic():
        task = Task.objects.locked(session.task_id)
        if task is None or task.status not in QUEUED_STATUSES:
            raise _in_another_state(session, "only a queued one can be taken out of the queue")
        return stop(session, why)


def _in_another_state(session: TrainingSession, rule: str) -> Conflict:
    session.task.refresh_from_db()
    return Conflict(f"training session {session.pk} is {session.state}: {rule}")


def _dataset(name: str) -> ArtifactVersion:
    version = ArtifactVersion.objects.newest_of(ArtifactType.DATASET, name)
    if version is None:
        raise BadRequest(f"there is no dataset {shown(name)}; {_known_datasets()}")
    return version


def _hold(version: ArtifactVersion) -> None:
    """Until the commit nobody deletes it, afterwards its session is in the way. Raises BadRequest when it is gone."""
    Artifact.objects.select_for_update().get(pk=version.artifact_id)
    _refuse_deleted(version)


def _refuse_deleted(version: ArtifactVersion) -> None:
    if not ArtifactVersion.objects.ready().filter(pk=version.pk).exists():
        raise BadRequest(f"dataset {version.artifact.name} was deleted just now; {_known_datasets()}")


def _known_datasets() -> str:
    live = Artifact.objects.filter(type=ArtifactType.DATASET).live().order_by("name").values_list("name", flat=True)
    names = list(live[: MOST_NAMED + 1])
    if not names:
        return "none is registered yet"
    return f"there are {', '.join(names[:MOST_NAMED])}" + (" and more" if len(names) > MOST_NAMED else "")


def _check_fit(config: Config, version: ArtifactVersion) -> None:
    facts = DatasetFacts.objects.filter(version=version).first()
    if facts is None:
        reason = "nothing is known of what it holds"
    elif facts.untrainable_reason:
        reason = facts.untrainable_reason
    else:
        reason = objection(
            config.model_architecture,
            config.loss_function,
            input_shape=facts.input_shape,
            target=facts.target,
            class_count=facts.class_count,
        )
    if reason:
        raise BadRequest(f"dataset {config.dataset_name} cannot be trained on so: {reason}")


def _spec(session: TrainingSession, config: Config) -> TaskSpec:
    return TaskSpec(
        command=_command(session),
        name=session.model_name,
        project=PROJECT,
        env=_environment(),
        config=asdict(config),
        gpus=settings.SESSION_RANKS if _has_gpus() else 0,
        ranks=settings.SESSION_RANKS,
        grace_s=GRACE_S,
        is_session=True,
    )


def _environment() -> dict[str, str]:
    """What the trainer needs beside what every job gets.

    PASSIVE: threads that wait for each other sleep. Spinning they take the cores of the one they wait for, and of
    everybody else; beside one busy process a training on two cores is then half as fast.
    """
    return {
        "PYTHONPATH": str(settings.BASE_DIR),
        "OMP_NUM_THREADS": str(threads_of_a_rank()),
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def _command(session: TrainingSession) -> list[str]:
    options = {
        "architecture": session.model_architecture,
        "dataset": session.dataset_name,
        "data": _data(session),
        "session-dir": paths.session_dir(session.pk),
        "learning-rate": session.learning_rate,
        "batch-size": session.batch_size,
        "epochs": session.epochs,
        "optimizer": session.optimizer,
        "loss-function": session.loss_function,
    }
    words = [word for option, value in options.items() for word in (f"--{option}", str(value))]
    return [sys.executable, "-m", "training.trainer", *words]


def _data(session: TrainingSession) -> Path:
    try:
        return readable_path(session.dataset_version)
    except NotFound as error:
        _refuse_deleted(session.dataset_version)
        raise BadRequest(f"dataset {session.dataset_name} cannot be trained on: {error.message}") from error


def threads_of_a_rank() -> int:
    """So many that all sessions at once keep every core busy and none waits for one."""
    return max(1, (os.cpu_count() or 1) // (settings.MAX_CONCURRENT_SESSIONS * settings.SESSION_RANKS))


def _has_gpus() -> bool:
    """Is there a device that tasks of the default pool may ever get? Switched off ones do not count."""
    return Gpu.objects.filter(is_enabled=True, is_present=True, node__is_enabled=True).exists()
