"""The agent follows the storage roots that somebody wants followed, and our own."""

import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError

from tests.make import make_user
from tests.peer_files import RUN_ID, PeerRun, metrics
from tests.waiting import until
from training import paths
from training.execution import followed_roots
from training.execution.followed_roots import FollowedRoots, RootsThread
from training.models import ImportedRoot, Run
from training.tracking.importers.roots import register_root

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]
OTHER = "20260307_091502_aaaaaa"


@pytest.fixture
def root(tmp_path: Path) -> ImportedRoot:
    (tmp_path / "root").mkdir()
    return register_root(tmp_path / "root", make_user("somebody"), is_followed=True)


def test_it_follows_what_is_to_be_followed_as_long_as_it_is(root: ImportedRoot) -> None:
    roots = FollowedRoots()
    PeerRun(Path(root.path))
    roots.look()
    assert Run.objects.get().owner.username == "somebody"
    register_root(Path(root.path), root.owner, is_followed=False)
    PeerRun(Path(root.path), OTHER)
    roots.look()
    assert Run.objects.count() == 1 and not roots.followers


def test_it_finds_what_the_original_writes_into_our_own_root() -> None:
    PeerRun(paths.runs_root()).say(metrics(1, loss=0.5))
    FollowedRoots().look()
    run = Run.objects.get()
    assert (run.pk, run.source, run.owner.username, run.outside_dir) == (RUN_ID, "runicorn", "admin", "")
    assert run.directory == paths.runs_root() / "vision" / "resnet" / "runs" / RUN_ID


def test_nobody_is_made_and_nothing_registered_before_there_is_a_root() -> None:
    FollowedRoots().look()
    assert not ImportedRoot.objects.exists()


def test_our_own_root_need_not_be_followed() -> None:
    paths.runs_root().mkdir(parents=True)
    register_root(paths.runs_root(), make_user(), is_followed=False)
    PeerRun(paths.runs_root())
    FollowedRoots().look()
    assert not Run.objects.exists()


@pytest.mark.parametrize("failure", [DatabaseError("locked"), ValueError("a bug")])
def test_a_look_that_fails_ends_nothing(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def look(self: Any) -> None:
        looks.append(threading.current_thread().name)
        if len(looks) == 1:
            raise failure

    monkeypatch.setattr(FollowedRoots, "look", look)
    monkeypatch.setattr(followed_roots, "LOOK_EVERY_S", 0.01)
    thread = RootsThread()
    thread.start()
    until(lambda: len(looks) > 2, what="another look")
    thread.end()
    assert set(looks) == {"followed-roots"}


def test_one_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, goes_on = threading.Event(), threading.Event()

    def look(self: Any) -> None:
        hangs.set()
        goes_on.wait()

    monkeypatch.setattr(FollowedRoots, "look", look)
    monkeypatch.setattr(followed_roots, "END_WITHIN_S", 0.05)
    thread = RootsThread()
    thread.start()
    assert hangs.wait(10)
    thread.end()
    assert not goes_on.is_set(), "it was not waited for"
    goes_on.set()


def test_a_thread_that_was_never_started_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FollowedRoots, "look", lambda self: pytest.fail("it looked"))
    thread = RootsThread()
    thread.end()
    thread.start()
    thread.end()
    assert threading.active_count() == len([it for it in threading.enumerate() if it.name != "followed-roots"])
