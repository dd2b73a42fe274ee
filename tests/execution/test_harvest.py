"""What a session leaves when it ends: its epochs, its model in the registry, or the reason why there is none."""

import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from registry.blobs import Incoming, path_of
from registry.models import ArtifactVersion
from tests.execution.placed import placed_again, recorded
from tests.make import make_epoch, make_session, make_task
from tests.together import together
from training.execution.finish import finish
from training.models import Event, Run, RunArtifact, SessionEpoch, TrainingSession

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("engine")]
WEIGHTS = b"weights" * 1000


@pytest.fixture(autouse=True)
def models(home: Path, settings: Any) -> Path:
    settings.MODELS_DIR = home / "models"
    return home / "models"


@pytest.fixture
def session() -> TrainingSession:
    return make_session(task=make_task(status="active", pending_runs=0, is_session=True))


@pytest.fixture
def run(session: TrainingSession) -> Run:
    return placed_again(session.task, status="running")


def left(run: Run, name: str, content: bytes | str) -> None:
    run.directory.mkdir(parents=True, exist_ok=True)
    (run.directory / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def finished(run: Run, **record: Any) -> Run:
    recorded(run, **record)
    finish(run.pk)
    run.refresh_from_db()
    return run


def product(run: Run) -> ArtifactVersion:
    return RunArtifact.objects.get(run=run, usage="produced").version


def test_the_weights_become_the_next_version_of_the_model(
    run: Run, session: TrainingSession, models: Path, django_capture_on_commit_callbacks: Any
) -> None:
    make_epoch(session, 1, run, val_accuracy=0.25)
    left(run, "model.pth", WEIGHTS)
    with django_capture_on_commit_callbacks(execute=True):
        assert finished(run).status == "finished"
    version = product(run)
    assert (version.artifact.type, version.artifact.name) == ("model", session.model_name)
    assert (version.owner, version.size_bytes) == (run.owner, len(WEIGHTS))
    assert path_of(version.files.get().blob_id).read_bytes() == WEIGHTS
    assert (models / version.files.get().link_name).read_bytes() == WEIGHTS
    assert version.metadata["metrics"]["val_accuracy"] == 0.25
    assert version.metadata["session_id"] == session.pk
    assert not (run.directory / "model.pth").exists()
    session.task.refresh_from_db()
    assert session.task.status == "completed"


def test_a_second_session_of_the_pair_makes_the_newer_version(run: Run, session: TrainingSession) -> None:
    left(run, "model.pth", WEIGHTS)
    finished(run)
    task = make_task(status="active", pending_runs=0, is_session=True)
    make_session(task=task, dataset_version=session.dataset_version)
    later = placed_again(task, status="running")
    left(later, "model.pth", b"other weights")
    finished(later)
    assert (product(run).number, product(later).number) == (1, 2)
    assert product(run).artifact == product(later).artifact


def test_the_last_epochs_are_there_when_the_session_is_seen_to_have_ended(run: Run) -> None:
    data = {"epoch": 3, "loss": 0.5, "accuracy": 0.5, "val_loss": 0.5, "val_accuracy": 0.5}
    left(run, "events.jsonl", json.dumps({"ts": 1.0, "type": "metrics", "data": data}))
    left(run, "model.pth", WEIGHTS)
    finished(run)
    assert SessionEpoch.objects.get().epoch == 3
    assert product(run).metadata["metrics"]["epoch"] == 3


def test_a_trainer_that_left_no_model_has_failed(run: Run) -> None:
    run.directory.mkdir(parents=True)
    assert (finished(run).status, run.exit_class) == ("failed", "error")
    assert run.exit_reason == "the trainer ended with exit code 0 and left no model.pth"


def test_a_link_in_place_of_the_model_is_not_followed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    run.directory.mkdir(parents=True)
    (run.directory / "model.pth").symlink_to(tmp_path / "secret")
    assert finished(run).status == "failed"
    assert not ArtifactVersion.objects.filter(artifact__type="model").exists()


def test_a_failure_is_told_in_the_words_of_the_trainer(run: Run) -> None:
    left(run, "failure.json", json.dumps({"error": "the loss is NaN in epoch 2", "kind": "nan"}))
    finished(run, exit_code=1)
    assert (run.status, run.exit_class, run.exit_reason) == ("failed", "error", "the loss is NaN in epoch 2")


def test_a_lack_of_gpu_memory_is_an_exit_class(run: Run) -> None:
    left(run, "failure.json", json.dumps({"error": "CUDA out of memory in epoch 1", "kind": "out_of_memory"}))
    finished(run, exit_code=1)
    assert (run.exit_class, run.exit_reason) == ("oom", "CUDA out of memory in epoch 1")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"error": 3}', '{"error": "  "}', '{"kind": "nan"}', "[" * 9999, "\xff"]
)
def test_a_failure_without_a_readable_sentence_keeps_the_exit_code(run: Run, content: str) -> None:
    left(run, "failure.json", content)
    assert finished(run, exit_code=3).exit_reason == "exit code 3"


def test_a_trainer_that_came_to_no_words_is_told_by_the_last_line_of_its_log(run: Run) -> None:
    left(run, "logs.txt", "Traceback (most recent call last):\nModuleNotFoundError: No module named 'torch'\n\n")
    finished(run, exit_code=1)
    assert run.exit_reason == "exit code 1; its last line says: ModuleNotFoundError: No module named 'torch'"


@pytest.mark.parametrize("content", ['{"error": "no", "kind": []}', '{"error": "no", "kind": {}}'])
def test_a_kind_that_is_no_word_is_none(run: Run, content: str) -> None:
    left(run, "failure.json", content)
    finished(run, exit_code=1)
    assert (run.exit_class, run.exit_reason) == ("error", "no")


def test_a_stopped_session_registers_nothing(run: Run) -> None:
    left(run, "model.pth", WEIGHTS)
    left(run, "failure.json", json.dumps({"error": "told to end"}))
    finished(run, exit_code=143, stop_reason="stopped")
    assert (run.status, run.exit_reason) == ("stopped", "stopped by a user; exit code 143")
    assert not RunArtifact.objects.filter(usage="produced").exists()


def test_a_full_disk_keeps_the_session_until_there_is_room(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    left(run, "model.pth", WEIGHTS)
    recorded(run)

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("os.write", refuse)
        assert "waits for storage" in finish(run.pk)
        finish(run.pk)
    run.refresh_from_db()
    assert run.status == "running"
    event = Event.objects.get(reason="NotRegistered")
    assert (event.type, event.count) == ("Warning", 2)
    finish(run.pk)
    run.refresh_from_db()
    assert (run.status, product(run).size_bytes) == ("finished", len(WEIGHTS))


def test_finishing_again_after_the_registration_registers_nothing_more(run: Run) -> None:
    left(run, "model.pth", WEIGHTS)
    finished(run)
    Run.objects.filter(pk=run.pk).update(status="running")  # as if the worker had been killed between the two
    assert finished(run).status == "finished"
    assert ArtifactVersion.objects.filter(artifact__type="model").count() == 1


def test_a_model_larger_than_any_is_refused_before_a_byte_is_copied(run: Run, home: Path) -> None:
    left(run, "model.pth", b"")
    os.truncate(run.directory / "model.pth", 200 * 1024**3)
    finished(run)
    assert (run.status, run.exit_class) == ("failed", "error")
    assert run.exit_reason == f"model.pth has {200 * 1024**3} bytes: more than any model here"
    assert not (home / "blobs").exists()


def test_a_model_waits_for_room_before_it_fills_the_disk(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    left(run, "model.pth", WEIGHTS)
    recorded(run)
    with monkeypatch.context() as disk:
        disk.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=len(WEIGHTS)))
        assert "waits for storage, the server's disk has no room for a model" in finish(run.pk)
    run.refresh_from_db()
    assert run.status == "running"


def test_weights_that_the_session_has_registered_before_stay_that_version(run: Run, session: TrainingSession) -> None:
    left(run, "model.pth", WEIGHTS)
    finished(run)
    again = placed_again(session.task, status="running")
    left(again, "model.pth", WEIGHTS)
    assert finished(again).status == "finished"
    assert product(again) == product(run)
    assert ArtifactVersion.objects.filter(artifact__type="model").count() == 1


def test_a_run_whose_records_take_long_is_asked_for_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.execution.harvest.TAKE_IN_S", 0)
    left(run, "events.jsonl", json.dumps({"type": "other"}) + "\n")
    left(run, "model.pth", WEIGHTS)
    recorded(run)
    assert finish(run.pk) == f"{run.pk}: what it left is still being read"
    run.refresh_from_db()
    assert run.status == "running"
    assert finish(run.pk) == f"{run.pk}: finished, ok"


def test_a_trainer_that_could_not_write_at_all_is_said_to(run: Run) -> None:
    run.directory.mkdir(parents=True)
    finished(run, exit_code=74)
    assert run.exit_reason == "it could not write down why it failed: the disk is full or its directory gone"


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_register_one_version(run: Run) -> None:
    left(run, "model.pth", WEIGHTS)
    recorded(run)
    together(*[lambda: finish(run.pk)] * 3)
    run.refresh_from_db()
    assert run.status == "finished"
    assert ArtifactVersion.objects.filter(artifact__type="model").count() == 1
    assert not list(path_of("0" * 64).parents[2].glob(".incoming*"))


def test_an_ordinary_run_is_left_alone() -> None:
    run = placed_again(make_task(status="active", pending_runs=0), status="running")
    left(run, "model.pth", WEIGHTS)
    left(run, "failure.json", json.dumps({"error": "mine"}))
    assert finished(run, exit_code=1).exit_reason == "exit code 1"
    assert not ArtifactVersion.objects.exists()


def test_an_incoming_file_is_gone_when_nobody_keeps_it(home: Path) -> None:
    with Incoming.create() as incoming:
        incoming.write(b"x")
    assert not list((home / "blobs").glob(".incoming*"))


@pytest.fixture
def plain_run() -> Run:
    """Of a task that is no session."""
    return placed_again(make_task(status="active", pending_runs=0), status="running")


def test_the_last_summary_of_a_script_is_kept(plain_run: Run) -> None:
    left(plain_run, "summary.json", '{"score": 0.5, "best_metric_value": 2}')
    assert finished(plain_run).status == "finished"
    assert (plain_run.summary["score"], plain_run.best_metric_value) == (0.5, 2)


def test_a_failure_is_told_in_the_words_of_the_script(plain_run: Run) -> None:
    left(plain_run, "status.json", '{"status": "failed", "exit_reason": "ValueError: no such layer"}')
    assert finished(plain_run, exit_code=1).exit_reason == "exit code 1; its script said: ValueError: no such layer"


def test_only_the_exit_code_is_proof(plain_run: Run) -> None:
    left(plain_run, "status.json", '{"status": "failed", "exit_reason": "gave up"}')
    run = finished(plain_run)
    assert (run.status, run.exit_reason) == ("finished", "exit code 0")
    assert "failed (gave up)" in Event.objects.get(run=run, reason="SaidFailed").message
