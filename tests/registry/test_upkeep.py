"""What is left of writers that were killed goes; what is used, or about to be, stays."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from registry import publish as publishing
from registry.blobs import INCOMING, Incoming, blobs_root, open_incoming, path_of
from registry.models import ArtifactFile, ArtifactVersion, Blob
from registry.publish import delete_versions, file_of, readable_path
from registry.store_lock import alone
from registry.tasks import upkeep as upkeep_task
from registry.upkeep import purge, upkeep
from tests.registry.contents import files_in_store, incoming, published
from tests.together import together

pytestmark = pytest.mark.django_db(transaction=True)


def orphan(content: bytes = b"orphan") -> Path:
    """Content in its place that no row knows, as a writer leaves it that was killed before its commit."""
    with incoming(content) as file:
        return path_of(file.keep())


def dead(directory: Path, content: bytes = b"half") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    file, path = open_incoming(directory)
    os.write(file, content)
    os.close(file)
    return path


def test_it_does_nothing_in_an_empty_home(store: Path) -> None:
    assert upkeep_task() == "incoming 0, blobs 0, freed_bytes 0, links_made 0, links_removed 0"


def test_it_removes_files_whose_writers_are_gone(store: Path) -> None:
    gone = [dead(blobs_root()), dead(store / "models"), dead(store / "datasets")]
    with incoming() as living:
        assert upkeep().incoming == 3
        assert living.path.exists()
    assert not any(path.exists() for path in gone)


def test_it_leaves_alone_what_only_has_the_name_of_a_file_on_its_way(store: Path) -> None:
    models = store / "models"
    models.mkdir()
    os.mkfifo(models / f"{INCOMING}pipe")
    (models / f"{INCOMING}link").symlink_to(dead(store / "elsewhere"))
    (models / f"{INCOMING}folder").mkdir()
    assert upkeep().incoming == 0
    assert len(list(models.iterdir())) == 3
    assert (models / f"{INCOMING}link").exists()


def test_it_removes_content_without_a_row(store: Path) -> None:
    version = published()
    path = orphan()
    done = upkeep()
    assert (done.blobs, done.freed_bytes, path.exists()) == (1, 6, False)
    assert readable_path(version).read_bytes() == b"weights"


def test_it_removes_a_row_and_content_without_a_file(store: Path) -> None:
    version = published()
    path = path_of(file_of(version).blob_id)
    ArtifactFile.objects.all().delete()
    done = upkeep()
    assert (done.blobs, done.freed_bytes, path.exists(), Blob.objects.count()) == (1, 7, False, 0)


def test_it_removes_a_row_whose_content_is_gone(store: Path) -> None:
    Blob.objects.create(digest="a" * 64, size_bytes=3)
    assert upkeep().blobs == 0
    assert Blob.objects.count() == 0


def test_it_leaves_what_it_does_not_know(store: Path) -> None:
    published()
    strangers = [store / "models" / "mine.pth", path_of("a" * 64).parent / "readme"]
    for path in strangers:
        path.parent.mkdir(exist_ok=True)
        path.write_text("not ours")
    upkeep()
    assert all(path.exists() for path in strangers)


def test_it_leaves_content_that_is_about_to_be_published(store: Path) -> None:
    with incoming(b"orphan") as file:
        path = path_of(file.keep())
        done = upkeep()
        assert (done.blobs, done.is_complete, path.exists()) == (0, False, True)
        assert str(done).endswith("to be continued")
    assert upkeep().blobs == 1


def test_it_leaves_content_whose_rows_are_not_committed_yet(store: Path) -> None:
    with transaction.atomic():
        version = published()
        with alone() as is_alone:
            assert not is_alone
    assert readable_path(version).read_bytes() == b"weights"


def test_it_stops_when_its_time_is_over(store: Path) -> None:
    orphan()
    assert not upkeep(budget_s=-1).is_complete
    assert upkeep().is_complete


def test_it_makes_links_that_are_missing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "link_after_commit", lambda *_: None)
    version = published()
    path = store / "models" / file_of(version).link_name
    assert not path.exists()
    assert upkeep().links_made == 1
    assert path.samefile(path_of(file_of(version).blob_id))
    assert upkeep().links_made == 0


def test_it_removes_links_of_deleted_versions(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = published()
    path = readable_path(version)
    monkeypatch.setattr(publishing, "remove_links", lambda *_: None)
    delete_versions(version.artifact)
    assert path.exists()
    assert upkeep().links_removed == 1
    assert not path.exists()


def test_it_goes_on_after_a_link_that_cannot_be_made(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken, whole = published("broken", b"broken"), published("whole")
    path_of(file_of(broken).blob_id).unlink()
    links = [store / "models" / file_of(version).link_name for version in (broken, whole)]
    for link in links:
        link.unlink()
    assert upkeep().links_made == 1
    assert [link.exists() for link in links] == [False, True]
    assert f"the link {links[0].name} cannot be mended: the content of broken:v1" in caplog.text


def test_it_asks_the_database_a_bounded_number_of_times(store: Path, django_assert_max_num_queries: Any) -> None:
    for number in range(8):
        published(f"net{number}", bytes([number]))
    with django_assert_max_num_queries(3 + 8):  # one for each of the folders that the digests fall into
        upkeep()
    assert len(files_in_store()) == 8


def test_it_purges_only_what_was_deleted_long_enough_ago(store: Path) -> None:
    kept, gone = published("kept"), published("gone", b"gone!")
    delete_versions(gone.artifact)
    assert purge(timedelta(days=1)) == (0, 0)
    assert purge(timedelta(0), is_dry_run=True) == (1, 5)
    assert purge(timedelta(0)) == (1, 5)
    assert purge(timedelta(0)) == (0, 0)
    assert upkeep().freed_bytes == 5
    assert readable_path(kept).exists()
    assert ArtifactVersion.objects.count() == 2
    assert published("gone", b"gone!").number == 2


def test_it_frees_no_content_that_another_version_holds(store: Path) -> None:
    kept = published("kept")
    delete_versions(published("gone").artifact)
    assert purge(timedelta(0)) == (1, 0)
    assert upkeep().blobs == 0
    assert readable_path(kept).read_bytes() == b"weights"


@pytest.mark.database
def test_it_never_takes_content_from_a_publisher_at_the_same_moment(store: Path) -> None:
    """Each round publishes content that is an orphan already, beside upkeeps that would like to remove it."""

    def publish_again(number: int) -> bool:
        return readable_path(published(f"net{number}", b"orphan")).read_bytes() == b"orphan"

    for number in range(10):
        orphan()
        said = together(lambda: bool(upkeep()), lambda n=number: publish_again(n), lambda: bool(upkeep()))
        assert said == [True, True, True]
        delete_versions(ArtifactVersion.objects.get(artifact__name=f"net{number}").artifact)
        purge(timedelta(0))
    upkeep()
    assert files_in_store() == []


@pytest.mark.database
def test_it_keeps_one_live_writer_among_dead_ones(store: Path) -> None:
    def write() -> bool:
        with Incoming.create() as file:
            for _ in range(20):
                file.write(b"x" * 1000)
            return path_of(file.keep()).stat().st_size == 20_000

    def clear() -> bool:
        return all(upkeep() is not None for _ in range(5))

    for _ in range(5):
        dead(blobs_root())
        assert together(write, clear, write, clear) == [True] * 4
    upkeep()
    assert files_in_store() == []
