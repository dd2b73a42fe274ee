"""A dataset is not deleted from under its sessions, nor a model while one trains its next version."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlserver.errors import BadRequest, Conflict
from registry.models import ArtifactVersion
from registry.publish import delete_versions
from tests.datasets import stored_dataset
from tests.make import make_dataset, make_session, make_task, make_user, make_version
from tests.together import together
from training import sessions
from training.models import Task, TrainingSession

CONFIG: Mapping[str, object] = {
    "model_architecture": "mlp", "dataset_name": "digits", "learning_rate": 0.001, "batch_size": 16, "epochs": 5,
}  # fmt: skip


@pytest.mark.parametrize("status", ["held", "waiting", "active"])
@pytest.mark.django_db
def test_it_deletes_no_dataset_that_a_session_will_read(status: str, store: Path) -> None:
    version = make_dataset("digits")
    session = make_session(task=make_task(status=status, is_session=True), dataset_version=version)
    said = f"^dataset 'digits' is in use by training session {session.pk}: stop the session first, or wait for its end$"
    with pytest.raises(Conflict, match=said):
        delete_versions(version.artifact)
    assert ArtifactVersion.objects.ready().filter(pk=version.pk).exists()


@pytest.mark.parametrize("status", ["completed", "failed", "stopped"])
@pytest.mark.django_db
def test_it_deletes_a_dataset_whose_sessions_have_ended(status: str, store: Path) -> None:
    version = make_dataset("digits")
    make_session(task=make_task(status=status, is_session=True), dataset_version=version)
    make_session(dataset_version=make_dataset("others"))
    assert delete_versions(version.artifact) == 1


@pytest.mark.django_db
def test_it_deletes_no_model_that_a_running_session_trains(store: Path) -> None:
    model, digits = make_version("mlp_digits"), make_dataset("digits")
    make_session(dataset_version=digits)
    running = make_session(task=make_task(status="active", is_session=True), dataset_version=digits)
    with pytest.raises(Conflict, match=f"^model 'mlp_digits' is in use by training session {running.pk}: "):
        delete_versions(model.artifact)
    Task.objects.filter(pk=running.task_id).update(status="stopped")
    assert delete_versions(model.artifact) == 1


@pytest.mark.django_db
def test_it_deletes_what_is_of_another_type(store: Path) -> None:
    make_session(task=make_task(status="active", is_session=True), dataset_version=make_dataset("digits"))
    assert delete_versions(make_version("mlp_digits", type="code").artifact) == 1


@pytest.mark.django_db(transaction=True)
def test_it_starts_nothing_on_a_dataset_that_was_deleted_after_it_was_found(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact, submit = stored_dataset("digits").artifact, sessions.submit

    def submit_late(*args: object, **options: object) -> Task:
        assert delete_versions(artifact) == 1
        return submit(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(sessions, "submit", submit_late)
    with pytest.raises(BadRequest, match=r"^dataset digits was deleted just now; none is registered yet$"):
        sessions.start(CONFIG, owner=make_user())
    assert not Task.objects.exists()


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_it_starts_or_deletes_but_never_both(store: Path) -> None:
    owner = make_user()

    def start() -> str:
        try:
            return sessions.start(CONFIG, owner=owner).pk
        except BadRequest as refused:
            return refused.message

    def delete() -> str:
        try:
            return f"deleted {delete_versions(version.artifact)}"
        except Conflict as refused:
            return refused.message

    for _ in range(8):
        version = stored_dataset("digits")
        started, deleted = together(start, delete)
        session = TrainingSession.objects.first()
        if session is None:
            assert deleted == "deleted 1"
            assert re.search("was deleted just now|there is no dataset", started)
        else:
            assert (started, session.dataset_version_id) == (session.pk, version.pk)
            assert f"in use by training session {session.pk}" in deleted
            session.task.delete()
            assert delete_versions(version.artifact) == 1
