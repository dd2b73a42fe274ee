"""Versions of artifacts: names, numbers, links, and two callers at once."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

from mlserver.errors import Conflict, NotFound
from registry import links
from registry.blobs import path_of
from registry.datasets.facts import Facts
from registry.models import Artifact, ArtifactFile, ArtifactVersion, Blob, DatasetFacts
from registry.publish import delete_versions, file_of, path_in_version, publish, readable_path
from registry.store_lock import alone
from tests.make import make_user
from tests.registry.contents import files_in_store, incoming, published
from tests.together import together


@pytest.mark.django_db(transaction=True)
def test_it_publishes_a_version_with_its_file_and_link(store: Path) -> None:
    owner = make_user()
    version = published(owner=owner, metadata={"accuracy": 0.9})
    version.refresh_from_db()
    assert (str(version), version.owner, version.size_bytes, version.num_files) == ("net:v1", owner, 7, 1)
    assert version.metadata == {"accuracy": 0.9}
    link = store / "models" / f"net_{version.created_at:%Y%m%d_%H%M%S}.pth"
    assert file_of(version).link_name == link.name
    assert link.samefile(path_of(file_of(version).blob_id))
    assert readable_path(version) == link


@pytest.mark.django_db(transaction=True)
def test_it_keeps_the_facts_of_a_dataset(store: Path) -> None:
    facts = Facts(format="images", sample_count=2, dimensions="8x8x1", input_shape=(8, 8, 1), target="classes")
    version = published(type="dataset", file_name="pets.tar.gz", facts=facts)
    row = DatasetFacts.objects.get(version=version)
    assert (row.sample_count, row.dimensions, row.input_shape, row.class_count) == (2, "8x8x1", [8, 8, 1], None)
    assert readable_path(version).parent == store / "datasets"
    assert readable_path(version).name.endswith(".tar.gz")


@pytest.mark.django_db(transaction=True)
def test_it_shares_one_blob_between_equal_contents(store: Path) -> None:
    published("a")
    published("b")
    assert Blob.objects.count() == 1
    assert len(files_in_store()) == 1
    assert len(list((store / "models").iterdir())) == 2


@pytest.mark.django_db(transaction=True)
def test_it_refuses_a_name_that_is_taken(store: Path) -> None:
    published()
    with pytest.raises(Conflict, match=r"^model 'net' exists \(version 1\): delete it first or take another name$"):
        published(content=b"others")
    assert ArtifactVersion.objects.count() == 1
    assert len(files_in_store()) == 1


@pytest.mark.parametrize(
    ("type", "way_out"),
    [("dataset", "take another name, or have an administrator delete it"), ("config", "take another name")],
)
@pytest.mark.django_db
def test_it_says_what_can_be_done_about_a_name_that_is_taken(store: Path, type: str, way_out: str) -> None:
    published(type=type)
    with pytest.raises(Conflict, match=rf"^{type} 'net' exists \(version 1\): {way_out}$"):
        published(type=type, content=b"others")


@pytest.mark.django_db(transaction=True)
def test_it_adds_a_version_when_it_may(store: Path) -> None:
    published()
    assert published(content=b"better", must_be_new=False).number == 2
    assert ArtifactVersion.objects.newest_of("model", "net").number == 2  # type: ignore[union-attr]


@pytest.mark.django_db(transaction=True)
def test_it_tells_two_versions_of_one_second_apart(store: Path) -> None:
    names = {file_of(published(content=bytes([n]), must_be_new=False)).link_name for n in range(4)}
    assert len(names) == 4
    assert {path.name for path in (store / "models").iterdir()} == names


@pytest.mark.django_db(transaction=True)
def test_it_leaves_a_file_of_somebody_else_alone(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    theirs = store / "models" / f"net_{now:%Y%m%d_%H%M%S}.pth"
    theirs.parent.mkdir()
    theirs.write_bytes(b"theirs")
    assert readable_path(published()).name == theirs.name.replace(".pth", "-2.pth")
    assert theirs.read_bytes() == b"theirs"


@pytest.mark.django_db(transaction=True)
def test_it_writes_what_belongs_to_the_version_or_nothing(store: Path) -> None:
    def fail(version: ArtifactVersion) -> None:
        raise Conflict(f"no place for {version}")

    with pytest.raises(Conflict, match="no place for net:v1"):
        published(also=fail)
    assert not Artifact.objects.exists()
    assert not Blob.objects.exists()
    assert not (store / "models").exists()


@pytest.mark.django_db
def test_it_refuses_what_cannot_be_a_name(store: Path) -> None:
    with pytest.raises(ValueError, match="cannot name an artifact"):
        published("../net")


@pytest.mark.django_db(transaction=True)
def test_it_makes_a_missing_link_again(store: Path) -> None:
    version = published()
    readable_path(version).unlink()
    assert readable_path(version).read_bytes() == b"weights"


@pytest.mark.django_db(transaction=True)
def test_it_replaces_a_link_to_other_content(store: Path) -> None:
    link = readable_path(version := published())
    link.unlink()
    link.write_bytes(b"wei")
    assert readable_path(version).read_bytes() == b"weights"


@pytest.mark.django_db(transaction=True)
def test_it_copies_to_another_file_system(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., None] = os.link

    def link(source: Path, target: Path) -> None:
        if store / "models" in Path(target).parents:
            raise OSError(18, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    path = readable_path(version := published())
    assert path.read_bytes() == b"weights"
    assert path.stat().st_nlink == 1
    assert path.stat().st_mode & 0o777 == 0o400
    assert readable_path(version).stat().st_ino == path.stat().st_ino
    assert [path] == list((store / "models").iterdir())


@pytest.mark.django_db(transaction=True)
def test_it_says_that_content_is_missing(store: Path) -> None:
    version = published()
    path_of(file_of(version).blob_id).unlink()
    with pytest.raises(NotFound, match=r"the content of net:v1 \(net.pth\) is missing"):
        readable_path(version)
    file_of(version).delete()
    with pytest.raises(NotFound, match="net:v1 has no content: it was purged"):
        readable_path(version)


@pytest.mark.django_db(transaction=True)
def test_it_publishes_when_no_link_can_be_made(store: Path, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.MODELS_DIR = store / "models"
    settings.MODELS_DIR.write_text("a file where the directory should be")
    assert ArtifactVersion.objects.ready().filter(pk=published().pk).exists()
    assert "no link net_" in caplog.text
    settings.MODELS_DIR.unlink()
    assert readable_path(ArtifactVersion.objects.get()).read_bytes() == b"weights"


@pytest.mark.django_db(transaction=True)
def test_it_deletes_versions_and_their_links_but_not_their_content(store: Path) -> None:
    version = published()
    published(content=b"better", must_be_new=False)
    assert delete_versions(version.artifact) == 2
    assert delete_versions(version.artifact) == 0
    assert ArtifactVersion.objects.newest_of("model", "net") is None
    assert list((store / "models").iterdir()) == []
    assert len(files_in_store()) == 2


@pytest.mark.django_db(transaction=True)
def test_it_gives_a_deleted_name_to_a_new_owner_with_the_next_number(store: Path) -> None:
    first, second = make_user(), make_user()
    delete_versions(published(owner=first).artifact)
    version = published(owner=second)
    assert (version.number, Artifact.objects.get().owner) == (2, second)
    assert published(owner=first, must_be_new=False).artifact.owner == second


@pytest.mark.django_db(transaction=True)
def test_it_holds_the_store_until_the_commit_around_it(store: Path) -> None:
    with transaction.atomic():
        published()
        with alone() as is_alone:
            assert not is_alone
    with alone() as is_alone:
        assert is_alone


@pytest.mark.django_db(transaction=True)
def test_it_lets_the_store_go_when_the_transaction_is_rolled_back(store: Path) -> None:
    with pytest.raises(KeyError), transaction.atomic():
        published()
        raise KeyError
    with alone() as is_alone:
        assert is_alone


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_it_lets_one_of_two_new_ones_win(store: Path) -> None:
    def attempt(content: bytes) -> str:
        try:
            return str(published(content=content))
        except Conflict as error:
            return error.message.partition(" (")[0]

    said = together(*(lambda n=n: attempt(bytes([n])) for n in range(4)))
    assert sorted(said) == ["model 'net' exists"] * 3 + ["net:v1"]
    assert ArtifactVersion.objects.count() == 1


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_it_gives_each_number_once(store: Path) -> None:
    made = together(*(lambda n=n: published(content=bytes([n]), must_be_new=False) for n in range(6)))
    assert sorted(version.number for version in made) == [1, 2, 3, 4, 5, 6]
    assert len(list((store / "models").iterdir())) == 6


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_it_shares_one_blob_between_two_at_the_same_moment(store: Path) -> None:
    together(*(lambda n=n: published(f"net{n}") for n in range(6)))
    assert Blob.objects.count() == 1
    assert ArtifactFile.objects.count() == 6


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_it_tells_a_model_and_a_dataset_of_one_name_and_second_apart(store: Path) -> None:
    together(*(lambda type=type: published(type=type) for type in ("model", "dataset")))
    assert ArtifactFile.objects.count() == 2


def test_it_prepares_the_directories_of_links(store: Path) -> None:
    links.prepare_directories()
    assert sorted(path.name for path in store.iterdir()) == ["datasets", "models"]


def test_it_refuses_a_directory_that_cannot_be_made(store: Path, settings: Any) -> None:
    settings.DATASETS_DIR = Path("/proc/self/nowhere")
    with pytest.raises(ImproperlyConfigured, match=r"^DATASETS_DIR=/proc/self/nowhere cannot be used: "):
        links.prepare_directories()


def test_it_names_links_after_name_time_and_suffix() -> None:
    at = timezone.now().replace(year=2026, month=3, day=4, hour=5, minute=6, second=7)
    assert links.link_name("net", "weights.PTH", at) == "net_20260304_050607.pth"
    assert links.link_name("net", "a.tar.gz", at, copy=2) == "net_20260304_050607-2.tar.gz"
    assert links.link_name("net", "weights", at) == "net_20260304_050607"
    assert links.link_name("net", "w.\u202egz", at + timedelta(seconds=1)) == "net_20260304_050608"


@pytest.mark.parametrize(
    ("sent", "path"),
    [("a.csv", "a.csv"), ("../../etc/passwd", "passwd"), ("C:\\data\\a.csv", "a.csv"), ("", "net"), ("a/..", "net"),
     ("\x00a\n.csv", "a.csv"), ("\ud800.csv", ".csv"), ("x" * 300 + ".csv", "x" * 251 + ".csv")],
)  # fmt: skip
def test_it_takes_the_last_part_of_a_file_name(sent: str, path: str) -> None:
    assert path_in_version(sent, "net") == path


@pytest.mark.django_db
def test_it_has_no_link_for_other_types(store: Path) -> None:
    with incoming() as file:
        version = publish(file, type="config", name="c", owner=None, file_name="c.json")
    assert file_of(version).link_name == ""
    assert readable_path(version) == path_of(file_of(version).blob_id)
