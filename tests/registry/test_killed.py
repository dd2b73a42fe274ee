"""A writer killed with SIGKILL at any point, and a disk that fills: nothing is half visible, and nothing stays."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from mlserver.errors import OutOfSpace
from registry.blobs import Incoming, blobs_root
from registry.models import Artifact, ArtifactVersion
from registry.publish import file_of, readable_path
from registry.upkeep import upkeep
from tests.registry.contents import files_in_store, published
from tests.registry.interrupted import CONTENT
from tests.serving import REPOSITORY, server_environment

pytestmark = [
    pytest.mark.process,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("DATABASE_URL" in os.environ, reason="the child uses the embedded database of this test"),
]


@contextmanager
def stopped_at(place: str, store: Path) -> Iterator[None]:
    """A publisher that came to `place`, killed at the end."""
    environment = server_environment(store) | {
        "DJANGO_SETTINGS_MODULE": "mlserver.settings",
        "DATABASE_PATH": str(connection.settings_dict["NAME"]),
    }
    command = [sys.executable, "-m", "tests.registry.interrupted", place, str(store / "models")]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == place + "\n"
            yield
        finally:
            child.kill()


@pytest.mark.parametrize("place", ["writing", "kept", "in the transaction"])
def test_nothing_is_left_of_one_that_is_killed_before_its_commit(place: str, store: Path) -> None:
    with stopped_at(place, store):
        assert len(files_in_store()) == 1
    assert not Artifact.objects.exists()
    upkeep()
    assert files_in_store() == []
    assert not (store / "models").exists()
    assert published(content=CONTENT).number == 1


def test_upkeep_leaves_one_alone_that_lives(store: Path) -> None:
    with stopped_at("writing", store):
        upkeep()
        assert len(files_in_store()) == 1
    with stopped_at("kept", store):
        upkeep()
        assert files_in_store()[0].stat().st_size == len(CONTENT)


@pytest.mark.parametrize("is_mended_by_upkeep", [True, False], ids=["by upkeep", "by its reader"])
def test_a_link_that_was_not_made_after_the_commit_is_made(store: Path, is_mended_by_upkeep: bool) -> None:
    with stopped_at("committed", store):
        pass
    version = ArtifactVersion.objects.get()
    link = store / "models" / file_of(version).link_name
    assert not link.exists()
    if is_mended_by_upkeep:
        assert upkeep().links_made == 1
    else:
        assert readable_path(version) == link
    assert link.read_bytes() == CONTENT


def test_a_copy_cut_short_that_nobody_wants_goes(store: Path) -> None:
    (store / "models").mkdir()
    with stopped_at("copying", store):
        upkeep()
        assert len(list((store / "models").iterdir())) == 1
    upkeep()
    assert list((store / "models").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB; needs the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=2m tmpfs {disk} 2>/dev/null") != 0:
        pytest.skip("mounting a small file system needs root")
    yield disk
    os.system(f"umount -l {disk}")


def free_bytes(disk: Path) -> int:
    facts = os.statvfs(disk)
    return facts.f_bavail * facts.f_bsize


def test_a_full_disk_takes_nothing_and_keeps_nothing(store: Path, small_disk: Path, settings: Any) -> None:
    settings.MLSERVER_HOME = small_disk
    first = Incoming.create()
    before = free_bytes(small_disk)
    with pytest.raises(OutOfSpace, match="the server's disk is full: nothing was stored"):
        for _ in range(100):
            first.write(b"x" * 100_000)
    assert files_in_store() == []
    assert free_bytes(small_disk) == before
    assert readable_path(published()).read_bytes() == b"weights"


def test_a_full_disk_for_copies_leaves_the_version_without_its_link(
    store: Path, small_disk: Path, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """MODELS_DIR on another file system: the model is there, the copy follows when there is space."""
    settings.MODELS_DIR = small_disk
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 1_500_000)
    version = published(content=CONTENT)
    assert "the server's disk is full" in caplog.text
    with pytest.raises(OutOfSpace):
        readable_path(version)
    assert list(small_disk.iterdir()) == [filler]
    filler.unlink()
    assert upkeep().links_made == 1
    assert readable_path(version).read_bytes() == CONTENT
    assert blobs_root().stat().st_dev != readable_path(version).stat().st_dev


def test_a_disk_without_space_for_a_name_refuses(store: Path, small_disk: Path, settings: Any) -> None:
    settings.MLSERVER_HOME = small_disk
    os.system(f"mount -o remount,nr_inodes=1 {small_disk}")
    with pytest.raises(OutOfSpace):
        Incoming.create()
