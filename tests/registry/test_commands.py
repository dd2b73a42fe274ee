"""`manage.py models`, `datasets` and `artifacts`."""

from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from mlserver.accounts.bootstrap import first_admin
from registry.management.content import size
from registry.models import ArtifactVersion
from registry.publish import delete_versions, readable_path
from tests.make import make_session, make_task, make_user
from tests.registry.contents import files_in_store, published

pytestmark = pytest.mark.django_db(transaction=True)


def said(*words: object) -> list[str]:
    out = StringIO()
    call_command(*map(str, words), stdout=out)
    return out.getvalue().splitlines()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"x" * 3_000_000)
    return path


def test_it_adds_a_model_as_it_is(store: Path, weights: Path) -> None:
    assert said("models", "add", "net", weights) == ["model net:v1, 2.9 MiB"]
    version = ArtifactVersion.objects.get()
    assert version.owner == first_admin()
    assert readable_path(version).read_bytes() == weights.read_bytes()


def test_it_lists_the_newest_version_of_each_model(store: Path, django_assert_num_queries: Any) -> None:
    owner = make_user("eva")
    published("net", owner=owner)
    published("net", b"better!!", owner=owner, must_be_new=False)
    published("lone")
    delete_versions(published("gone").artifact)
    published("iris", type="dataset")
    with django_assert_num_queries(2):
        header, *rows = [line.split("\t") for line in said("models", "list")]
    assert header == ["Name", "Version", "Size", "Created", "Owner", "File"]
    assert [row[:3] + row[4:5] for row in rows] == [["lone", "1", "7 B", "-"], ["net", "2", "8 B", "eva"]]
    assert (store / "models" / rows[1][5]).read_bytes() == b"better!!"


def test_it_removes_a_model(store: Path) -> None:
    published("net")
    assert said("models", "rm", "net") == ["removed 1 version of model net"]
    with pytest.raises(CommandError, match="there is no model 'net'; see `manage.py models list`"):
        said("models", "rm", "net")


def test_it_removes_a_dataset(store: Path) -> None:
    published("pets", type="dataset")
    published("pets", type="model")
    assert said("datasets", "rm", "pets") == ["removed 1 version of dataset pets"]
    with pytest.raises(CommandError, match="there is no dataset 'pets'; see `manage.py datasets list`"):
        said("datasets", "rm", "pets")
    assert ArtifactVersion.objects.ready().get().artifact.type == "model"


@pytest.mark.parametrize(("words", "status"), [("datasets rm digits", "waiting"), ("models rm mlp_digits", "active")])
def test_it_removes_nothing_that_a_session_needs(store: Path, words: str, status: str) -> None:
    digits = published("digits", type="dataset")
    published("mlp_digits")
    session = make_session(task=make_task(status=status, is_session=True), dataset_version=digits)
    with pytest.raises(CommandError, match=f"is in use by training session {session.pk}: stop the session first"):
        said(*words.split())
    assert ArtifactVersion.objects.ready().count() == 2


@pytest.mark.parametrize(
    ("name", "file", "reason"),
    [
        ("../net", "weights.pth", "^name: must be 1 to 100 of"),
        ("net", "missing.pth", r"missing\.pth: No such file or directory$"),
        ("net", ".", "Is a directory$"),
        ("taken", "weights.pth", "^model 'taken' exists"),
    ],
)
def test_it_says_why_it_adds_nothing(store: Path, weights: Path, name: str, file: str, reason: str) -> None:
    published("taken")
    with pytest.raises(CommandError, match=reason):
        said("models", "add", name, weights.parent / file)
    assert len(files_in_store()) == 1


@pytest.mark.process
def test_it_adds_a_dataset_with_its_facts(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "colours.csv"
    file.write_text("a,b,target\n1,2,red\n3,4,blue\n5,6,red\n")
    assert said("datasets", "add", "colours", file) == ["dataset colours:v1, 36 B, format csv, samples 3, dimensions 3"]
    row = said("datasets", "list")[1].split("\t")
    assert row[:7] == ["colours", "1", "36 B", "csv", "3", "3", "2 classes"]


@pytest.mark.process
def test_it_refuses_what_is_no_dataset(store: Path, weights: Path) -> None:
    with pytest.raises(CommandError, match=r"weights\.pth"):
        said("datasets", "add", "net", weights)
    assert files_in_store() == []


def test_it_lists_a_dataset_without_facts(store: Path) -> None:
    published("raw", type="dataset")
    assert said("datasets", "list")[1].split("\t")[:7] == ["raw", "1", "7 B", "-", "-", "-", "-"]


def test_it_purges_what_was_deleted(store: Path) -> None:
    published("kept")
    delete_versions(published("gone", b"x" * 2048).artifact)
    assert said("artifacts", "purge", "--older-than", 1) == ["purged 0 deleted versions, freed 0 B"]
    assert said("artifacts", "purge", "--dry-run") == ["would purge 1 deleted version, 2.0 KiB"]
    ArtifactVersion.objects.filter(status="deleted").update(deleted_at=timezone.now() - timedelta(days=2))
    assert said("artifacts", "purge", "--older-than", 1) == ["purged 1 deleted version, freed 2.0 KiB"]
    assert len(files_in_store()) == 1


@pytest.mark.parametrize("days", ["-1", "x", "1.5", "99999999999"])
def test_it_refuses_days_that_are_none(days: str) -> None:
    with pytest.raises(CommandError, match="must be a whole number from 0 to 36500"):
        said("artifacts", "purge", f"--older-than={days}")


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 1024**4, "5.0 TiB"), (2**60, "1048576.0 TiB")],
)
def test_it_writes_sizes_in_units(size_bytes: int, text: str) -> None:
    assert size(size_bytes) == text
