"""A follower notices what comes into a root, and lists only what has changed."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.make import make_user
from tests.peer_files import ENDED, RUNNING, PeerRun, metrics
from training.models import ImportedRoot, Run, Series
from training.tracking.importers import following
from training.tracking.importers.following import Follower
from training.tracking.importers.report import Report
from training.tracking.importers.roots import register_root

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]
OTHER = "20260307_091502_aaaaaa"


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look may list, however soon it follows another."""
    monkeypatch.setattr(following, "SHARE", 0)


@pytest.fixture
def root(tmp_path: Path) -> ImportedRoot:
    (tmp_path / "root").mkdir()
    return register_root(tmp_path / "root", make_user())


def path_of(root: ImportedRoot) -> Path:
    return Path(root.path)


def came(report: Report) -> dict[str, int]:
    return {outcome.value: count for outcome, count in report.outcomes.items() if count and outcome != "unchanged"}


def age(*paths: Path) -> None:
    """As if nothing had happened there for an hour."""
    for path in paths:
        os.utime(path, (time.time() - 3600, time.time() - 3600))


def test_it_notices_new_runs_growth_and_the_end(root: ImportedRoot) -> None:
    follower = Follower(root)
    assert came(follower.look()) == {}
    peer = PeerRun(path_of(root), status=RUNNING)
    assert came(follower.look()) == {"new": 1}
    peer.say(metrics(1, loss=0.5))
    report = follower.look()
    assert (came(report), report.points) == ({"updated": 1}, 1)
    assert came(follower.look()) == {}
    peer.write(status=ENDED)
    assert came(follower.look()) == {"updated": 1}
    assert Run.objects.get().status == "finished"


def test_a_directory_that_is_still_empty_is_looked_at_again(root: ImportedRoot) -> None:
    follower = Follower(root)
    peer = PeerRun(path_of(root), meta=None, status=None)
    assert came(follower.look()) == {"refused": 1}
    peer.write(status=RUNNING)
    assert came(follower.look()) == {"new": 1}


def test_old_runs_are_not_read_with_every_look(root: ImportedRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = PeerRun(path_of(root))
    age(peer.directory, peer.directory.parent)
    follower = Follower(root)
    follower.look()
    assert follower.lively == {}
    monkeypatch.setattr(following, "folders_of", lambda experiment: pytest.fail(f"{experiment} was listed"))
    assert came(follower.look()) == {}


def test_a_new_run_beside_many_old_ones_is_read_alone(root: ImportedRoot) -> None:
    for number in range(5):
        peer = PeerRun(path_of(root), f"20260307_091502_{number:06x}")
        age(peer.directory)
    age(peer.directory.parent)
    follower = Follower(root)
    follower.look()
    PeerRun(path_of(root), OTHER)
    report = follower.look()
    assert (came(report), report.outcomes.total()) == ({"new": 1}, 1)


def test_from_time_to_time_it_reads_everything(root: ImportedRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = PeerRun(path_of(root))
    age(peer.directory, peer.directory.parent)
    follower = Follower(root)
    follower.look()
    peer.write(deleted={"deleted_at": 1772879000.0, "reason": "user_deleted"})
    age(peer.directory)
    assert came(follower.look()) == {}
    monkeypatch.setattr(follower, "_everything_every_s", 0.0)
    assert came(follower.look()) == {"updated": 1}
    assert Run.objects.get().delete_reason == "user_deleted"


def test_new_labels_make_it_read_everything(root: ImportedRoot) -> None:
    peer = PeerRun(path_of(root))
    age(peer.directory, peer.directory.parent)
    follower = Follower(root)
    follower.look()
    (path_of(root) / ".experiments_metadata.json").write_text(json.dumps({peer.directory.name: {"tags": ["good"]}}))
    assert came(follower.look()) == {"updated": 1}
    assert Run.objects.get().tags == ["good"]


def test_a_look_ends_in_its_time_and_the_next_goes_on(root: ImportedRoot) -> None:
    for number in range(20):
        PeerRun(path_of(root), f"20260307_091502_{number:06x}", name=f"name{number % 3}")
    follower = Follower(root)
    looks = 0
    while Run.objects.count() < 20:
        follower.look(within_s=0.0)
        looks += 1
        assert looks < 100
    assert looks > 1


def test_it_goes_on_after_the_root_was_away(root: ImportedRoot) -> None:
    PeerRun(path_of(root), status=RUNNING)
    follower = Follower(root)
    follower.look()
    shutil.rmtree(root.path)
    assert came(follower.look()) == {"refused": 1}
    PeerRun(path_of(root), OTHER, status=RUNNING).say(metrics(1, loss=0.5))
    assert came(follower.look())["new"] == 1
    assert Series.objects.count() == 1


def test_a_look_that_fails_is_made_up_for(root: ImportedRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    PeerRun(path_of(root))
    follower = Follower(root)
    with monkeypatch.context() as patched:

        def fail(*_: Any) -> None:
            raise MemoryError

        patched.setattr("training.tracking.importers.folders.read_news", fail)
        with pytest.raises(MemoryError):
            follower.look()
    assert came(follower.look()) == {"new": 1}


def test_what_takes_long_to_list_is_listed_rarely(root: ImportedRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "SHARE", 1_000_000)
    follower = Follower(root)
    follower.look()
    peer = PeerRun(path_of(root), status=RUNNING)
    assert came(follower.look()) == {}
    monkeypatch.setattr(follower, "_list_at", 0.0)
    assert came(follower.look()) == {"new": 1}
    peer.say(metrics(1, loss=0.5))
    assert came(follower.look()) == {"updated": 1}, "runs that go on are read with every look"
