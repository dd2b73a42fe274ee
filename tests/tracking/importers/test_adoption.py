"""What the original library writes inside a queued task becomes the task's own run, once, whatever it says it is."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError

from tests.make import make_node, make_process, make_run
from tests.metrics import rows_of
from tests.peer_files import RUNNING, PeerRun, metrics, picture
from training.api.runicorn.lookup import find_run
from training.models import Event, Run, RunAlias, RunEnvironment, RunFolder, RunMedia, Series, Spool
from training.tracking import intake, spool
from training.tracking.importers import adoption, pictures
from training.tracking.job_files import opened_in_run
from training.tracking.metrics import cache, read_table

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]
FIRST, SECOND = "20260307_091502_4fe0b7", "20260307_091503_aaaaaa"


@pytest.fixture
def run() -> Run:
    cache.clear()
    made = make_run(node=make_node())
    made.directory.mkdir(parents=True)
    return made


def peer_in(run: Run, run_id: str = FIRST, root: str = ".runicorn", **files: Any) -> PeerRun:
    return PeerRun(run.directory / root, run_id, **files)


def look(run: Run) -> None:
    assert run.node is not None
    intake.Intake().take_in_all(run.node)
    run.refresh_from_db()


def test_scripts_that_made_many_runs_have_their_turn(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "FILES_WITHIN_S", 0)
    runs = [run, *(make_run(node=run.node) for _ in range(2))]
    for number, one in enumerate(runs):
        peer_in(one, f"20260307_091502_00000{number}").say(metrics(1, loss=0.5))
    agent = intake.Intake()
    assert run.node is not None
    for count in range(1, 4):
        agent.take_in_all(run.node)
        assert RunFolder.objects.count() == count


def test_all_it_says_is_that_of_the_tasks_run(run: Run) -> None:
    peer = peer_in(
        run, summary={"note": "x", "best_metric_name": "acc", "best_metric_value": 0.9}, environment={"a": 1}
    )
    peer.say(metrics(1, loss=0.5), metrics(2, loss=0.25, stage="train"), picture("1_a_sample.png", step=2))
    (peer.directory / "media").mkdir()
    (peer.directory / "media" / "1_a_sample.png").write_bytes(b"picture")
    look(run)
    assert rows_of(read_table(run)) == {
        1: {"time": 1772874901.0, "loss": 0.5, "stage": None},
        2: {"time": 1772874902.0, "loss": 0.25, "stage": "train"},
    }
    assert (run.summary["note"], run.best_metric_name, run.best_metric_value) == ("x", "acc", 0.9)
    assert run.status == "running", "that its script is done is advice"
    assert RunEnvironment.objects.get().facts == {"a": 1}
    medium = RunMedia.objects.get(run=run)
    with opened_in_run(run, f"media/{medium.name}") as file:
        assert file is not None and file.read(0, file.size) == b"picture"
    assert list(Run.objects.all()) == [run] and find_run(FIRST) == run
    assert [event.message for event in Event.objects.filter(run=run)] == [
        f"its script made run {FIRST}, which is a part of it"
    ]


def test_it_is_taken_in_once_and_as_it_grows(run: Run) -> None:
    peer = peer_in(run, status=RUNNING)
    peer.say(metrics(1, loss=0.5))
    look(run)
    look(run)
    peer.say(metrics(2, loss=0.25), tail='{"type": "metrics", "data": {"global_step": 3')
    look(run)
    assert (Series.objects.get().count, Spool.objects.get().bad_lines) == (2, 0)
    assert intake.take_in(run, is_over=True, within_s=60)
    assert (Series.objects.get().count, Spool.objects.get().bad_lines) == (2, 1)
    assert (RunFolder.objects.count(), Event.objects.filter(reason="Adopted").count()) == (1, 1)


def test_a_script_that_was_over_before_anybody_looked_is_adopted_at_its_end(run: Run) -> None:
    peer_in(run, summary={"note": "x"}).say(metrics(1, loss=0.5))
    assert intake.take_in(run, is_over=True, within_s=60)
    run.refresh_from_db()
    assert (run.series.get().count, run.summary) == (1, {"note": "x"})


def test_several_runs_of_one_script_are_all_adopted(run: Run) -> None:
    peer_in(run).say(metrics(1, loss=0.5))
    peer_in(run, SECOND, project="other", name="else").say(metrics(2, loss=0.25), metrics(3, acc=1.0))
    look(run)
    assert dict(run.series.values_list("name", "count")) == {"loss": 2, "acc": 1}
    assert find_run(FIRST) == find_run(SECOND) == run


def test_each_rank_has_a_root_of_its_own(run: Run) -> None:
    for rank in range(3):
        make_process(run, rank=rank)
    peer_in(run, SECOND, root=".runicorn.1").say(metrics(1, loss=0.5))
    peer_in(run, FIRST, root=".runicorn.2").say(metrics(2, loss=0.25))
    look(run)
    assert run.series.get().count == 2


def test_an_id_of_another_run_leads_to_that_one(run: Run) -> None:
    """A job may call its directory whatever it likes."""
    other, adopting = make_run(), make_run()
    RunAlias.objects.create(alias=SECOND, run=adopting)
    peer_in(run, other.pk).say(metrics(1, loss=0.5))
    peer_in(run, SECOND).say(metrics(2, loss=0.25))
    look(run)
    assert (find_run(other.pk), find_run(SECOND)) == (other, adopting)
    assert run.series.get().count == 2 and not run.aliases.exists()


def test_that_its_script_says_it_failed_is_an_event(run: Run) -> None:
    peer_in(run, status={"status": "failed"})
    look(run)
    look(run)
    event = Event.objects.get(reason="SaidFailed")
    assert (event.message, event.count, run.status) == (f"its script said of run {FIRST}: failed", 1, "running")


def test_nothing_is_read_through_links(run: Run, tmp_path: Path) -> None:
    outside = PeerRun(tmp_path / "outside")
    outside.say(metrics(1, loss=0.5))
    for place in ("vision/resnet/runs", "vision/linked", "linked"):
        link = run.directory / ".runicorn" / place
        link.parent.mkdir(parents=True, exist_ok=True)
        target = {"vision/resnet/runs": outside.directory.parent, "vision/linked": outside.directory.parents[1]}
        link.symlink_to(target.get(place, outside.directory.parents[2]))
    inside = peer_in(run, SECOND, name="real")
    (inside.directory / "events.jsonl").symlink_to(outside.directory / "events.jsonl")
    look(run)
    assert not run.series.exists() and list(run.aliases.values_list("alias", flat=True)) == [SECOND]


def test_a_root_that_is_a_link_is_none(run: Run, tmp_path: Path) -> None:
    PeerRun(tmp_path / "outside").say(metrics(1, loss=0.5))
    (run.directory / ".runicorn").symlink_to(tmp_path / "outside")
    assert intake.take_in(run, is_over=True, within_s=60)
    assert not run.series.exists() and not RunFolder.objects.exists()


@pytest.mark.parametrize("what", ["link", "directory", "nothing"])
def test_a_picture_that_is_no_file_is_left_out(what: str, run: Run, tmp_path: Path) -> None:
    peer = peer_in(run)
    peer.say(picture("secret.png"), metrics(1, loss=0.5))
    (tmp_path / "secret").write_bytes(b"secret")
    (peer.directory / "media").mkdir()
    if what == "link":
        (peer.directory / "media" / "secret.png").symlink_to(tmp_path / "secret")
    elif what == "directory":
        (peer.directory / "media" / "secret.png").mkdir()
    look(run)
    assert not list((run.directory / "media").iterdir()) and run.series.get().count == 1


def test_pictures_are_not_brought_through_a_linked_directory(run: Run, tmp_path: Path) -> None:
    peer = peer_in(run)
    peer.say(picture("a.png"))
    (peer.directory / "media").mkdir()
    (peer.directory / "media" / "a.png").write_bytes(b"a")
    (tmp_path / "elsewhere").mkdir()
    (run.directory / "media").symlink_to(tmp_path / "elsewhere")
    look(run)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_pictures_are_copied_where_there_are_no_hard_links(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(pictures.os, "link", refuse)
    peer = peer_in(run)
    peer.say(picture("a.png"), picture("a.png"))
    (peer.directory / "media").mkdir()
    (peer.directory / "media" / "a.png").write_bytes(b"a" * 3_000_000)
    look(run)
    assert (run.directory / "media" / "a.png").stat().st_size == 3_000_000
    assert RunMedia.objects.get().name == "a.png"


def test_a_job_that_makes_runs_without_end_is_bounded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption, "MOST_FOLDERS", 3)
    for number in range(5):
        peer_in(run, f"20260307_091502_{number:06x}").say(metrics(number, loss=0.5))
    look(run)
    look(run)
    assert run.series.get().count == 3
    assert Event.objects.get(reason="TooManyRuns").count == 2


@pytest.mark.parametrize("place", ["append", "note_summary", "get_or_create"])
def test_killed_in_the_middle_it_takes_everything_in_once(
    place: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer_in(run, summary={"note": "x"}).say(metrics(1, loss=0.5), metrics(2, loss=0.25))

    def die(*_: Any, **__: Any) -> None:
        raise DatabaseError("killed")

    with monkeypatch.context() as patched:
        target = {"append": intake.metrics, "note_summary": adoption, "get_or_create": type(RunAlias.objects)}[place]
        patched.setattr(target, place, die)
        with pytest.raises(DatabaseError):
            intake.take_in(run, is_over=True, within_s=60)
    assert intake.take_in(run, is_over=True, within_s=60)
    run.refresh_from_db()
    assert (run.series.get().count, run.summary, run.aliases.count()) == (2, {"note": "x"}, 1)


def test_more_than_comes_at_once_is_left_for_the_next_look(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "AT_ONCE_BYTES", 200)
    peer_in(run).say(*(metrics(step, loss=0.5) for step in range(30)))
    assert not intake.take_in(run, is_over=True, within_s=0)
    while not intake.take_in(run, is_over=True, within_s=0):
        pass
    assert run.series.get().count == 30


def test_a_run_without_any_costs_no_query(run: Run, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert adoption.take_in(run, intake.store)


def test_looking_at_an_adopted_run_without_news_costs_three_queries(run: Run, django_assert_num_queries: Any) -> None:
    for run_id in (FIRST, SECOND):
        peer_in(run, run_id).say(metrics(1, loss=0.5))
    look(run)
    with django_assert_num_queries(3):
        assert adoption.take_in(run, intake.store)


def test_damaged_files_stop_nothing(run: Run) -> None:
    peer = peer_in(run, meta=b"\x00\xff", status=b"[", summary=b"[1]", environment=json.dumps({"a": 1}).encode())
    peer.say(metrics(1, loss=0.5), tail=b"\x00garbage\n")
    look(run)
    assert (run.series.get().count, run.summary, Spool.objects.get().bad_lines) == (1, {}, 1)
