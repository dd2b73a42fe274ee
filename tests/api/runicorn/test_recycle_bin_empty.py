"""R6: erase what is in the recycle bin."""

from pathlib import Path

import pytest
from django.test import Client

from tests.api.runicorn.binned import EMPTY, RESTORE, make_deleted, make_files, post
from tests.make import make_client, make_event, make_run, make_series, make_user, make_version
from tests.metrics import log
from tests.together import together
from training import erased_files, paths, recycle_bin
from training.models import (
    Event,
    ImportedRoot,
    MetricChunk,
    Run,
    RunArtifact,
    RunEnvironment,
    Series,
    Usage,
)
from training.models.run import DIRECTORY_COLUMNS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


def empty(client: Client) -> int:
    answer = post(client, EMPTY, {"confirm": True})
    assert answer.status_code == 200, answer.content
    return answer.json()["permanently_deleted"]


@pytest.fixture
def admin() -> Client:
    return make_client(scope="admin")


def left() -> list[Path]:
    """Files anywhere below the roots of runs."""
    return [path for root in (paths.runs_root(), paths.control_root()) for path in root.rglob("*") if path.is_file()]


@pytest.mark.database
def test_it_erases_rows_and_files_and_leaves_versions(admin):
    run, kept = make_files(make_deleted()), make_files(make_run(status="finished"))
    paths.control_dir(run.pk).mkdir(parents=True)
    (paths.control_dir(run.pk) / "exit.json").write_text("{}")
    log(run, {"global_step": 1, "loss": 0.5, "stage": "train"})
    make_event(run=run)
    RunEnvironment.objects.create(run=run)
    version = make_version()
    RunArtifact.objects.create(run=run, version=version, usage=Usage.PRODUCED)

    assert empty(admin) == 1
    assert list(Run.objects.all()) == [kept]
    assert not MetricChunk.objects.exists() and not Series.objects.exists()
    assert left() == [kept.directory / "logs.txt"]
    version.refresh_from_db()
    assert run.pk in Event.objects.get(reason="Erased").message


def test_it_says_how_many():
    make_deleted()
    said = post(make_client(scope="admin"), EMPTY, {"confirm": True}).json()
    assert said == {"permanently_deleted": 1, "message": "1 runs erased"}


def test_active_runs_stay_with_their_files(admin):
    run = make_files(make_deleted(status="running"))
    said = post(admin, EMPTY, {"confirm": True}).json()
    assert said["permanently_deleted"] == 0
    assert "1 are active" in said["message"]
    assert (run.directory / "logs.txt").exists()
    assert Run.objects.count() == 1


def test_others_than_administrators_erase_their_own():
    mine, foreign = make_deleted(owner=make_user()), make_deleted()
    assert empty(make_client(mine.owner)) == 1
    assert list(Run.objects.all()) == [foreign]


@pytest.mark.parametrize("body", [{}, {"confirm": False}, {"confirm": 1}, {"confirm": "true"}, {"confirm": None}])
def test_returns_400_without_a_confirmation(admin, body):
    make_deleted()
    answer = post(admin, EMPTY, body)
    assert answer.status_code == 400
    assert "confirm" in answer.json()["detail"]
    assert Run.objects.count() == 1


def test_it_needs_the_scope_submit():
    assert post(Client(), EMPTY, {"confirm": True}).status_code == 401
    assert post(make_client(scope="read"), EMPTY, {"confirm": True}).status_code == 403


def test_killed_between_files_and_rows_it_is_repeated(admin, monkeypatch):
    run = make_files(make_deleted())

    def killed(*args: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(recycle_bin, "_erasure_of", killed)
        with pytest.raises(SystemExit):
            recycle_bin.empty(by=run.owner, only_of=None)
    assert not run.directory.exists() and Run.objects.count() == 1
    assert empty(admin) == 1
    assert left() == []


def test_killed_between_files_and_rows_it_can_be_restored(monkeypatch):
    run = make_files(make_deleted())
    erased_files.put_away(Run.objects.values(*DIRECTORY_COLUMNS).get())
    assert not run.directory.exists()
    assert erased_files.sweep(within_s=9)
    assert post(make_client(run.owner), RESTORE, {"run_ids": [run.pk]}).json()["restored_count"] == 1
    assert (run.directory / "logs.txt").read_text() == "a line\n"


def test_killed_after_the_rows_the_files_are_freed_the_next_time(admin, monkeypatch):
    run = make_files(make_deleted())
    monkeypatch.setattr(recycle_bin, "free_files", lambda: None)
    assert empty(admin) == 1
    assert [path.name for path in left()] == ["logs.txt"]
    monkeypatch.undo()
    assert empty(admin) == 0
    assert left() == [], run.pk


def test_what_takes_longer_is_left_to_the_queue(admin, monkeypatch):
    asked = []
    monkeypatch.setattr(recycle_bin, "SWEEP_S", -1)
    monkeypatch.setattr(recycle_bin, "enqueue", lambda *call: asked.append(call))
    make_files(make_deleted())
    assert empty(admin) == 1
    assert asked == [("training.queue.tasks.free_erased",)]


def test_it_removes_nothing_through_a_link(admin, tmp_path):
    run = make_deleted()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    run.directory.parent.mkdir(parents=True)
    run.directory.symlink_to(elsewhere)
    assert empty(admin) == 1
    assert (elsewhere / "precious").exists()


def test_files_outside_go_only_when_they_lie_in_an_imported_root(admin, tmp_path):
    inside, outside = tmp_path / "root" / "p" / "n" / "runs" / "x", tmp_path / "other" / "x"
    for directory in (inside, outside):
        directory.mkdir(parents=True)
        (directory / "meta.json").write_text("{}")
        make_deleted(outside_dir=str(directory))
    ImportedRoot.objects.create(path=str(tmp_path / "root"), owner=make_user())
    assert empty(admin) == 2
    assert not inside.exists()
    assert (outside / "meta.json").exists()


def test_a_run_whose_files_cannot_be_moved_stays_in_the_bin(admin, monkeypatch):
    stuck, other = make_files(make_deleted()), make_deleted()

    def put_away(row: dict[str, str]) -> None:
        if row["id"] == stuck.pk:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(erased_files, "put_away", put_away)
    assert empty(admin) == 1
    assert list(Run.objects.all()) == [stuck], other


def test_many_are_erased_in_blocks(admin, monkeypatch):
    monkeypatch.setattr(recycle_bin, "BLOCK", 2)
    for _ in range(5):
        make_series(make_deleted())
    assert empty(admin) == 5
    assert not Run.objects.exists()


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_erases_a_run():
    make_files(make_deleted())
    client = make_client(scope="admin")
    assert sorted(together(*[lambda: empty(client)] * 2)) == [0, 1]
    assert left() == []
