"""Bytes on their way into the store."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from mlserver.errors import Invalid, OutOfSpace
from registry import blobs
from registry.blobs import Incoming, check_name, is_name, path_of
from tests.registry.contents import files_in_store, incoming
from tests.together import together

DIGEST = hashlib.sha256(b"weights").hexdigest()


def test_it_keeps_what_was_written_under_its_digest(store: Path) -> None:
    with Incoming.create() as file:
        file.write(b"wei")
        file.write(memoryview(b"ghts"))
        assert file.size_bytes == 7
        assert file.keep() == DIGEST
    assert path_of(DIGEST) == store / "blobs" / "sha256" / DIGEST[:2] / DIGEST
    assert path_of(DIGEST).read_bytes() == b"weights"
    assert files_in_store() == [path_of(DIGEST)]


def test_it_makes_kept_content_read_only(store: Path) -> None:
    with incoming() as file:
        file.keep()
    assert path_of(DIGEST).stat().st_mode & 0o777 == 0o400


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another group")
def test_it_lets_the_group_of_the_job_account_read(store: Path, settings: Any) -> None:
    settings.JOB_USER = "nobody"
    with incoming() as file:
        file.keep()
    facts = path_of(DIGEST).stat()
    assert facts.st_mode & 0o777 == 0o440
    assert facts.st_gid != os.getegid()


def test_it_leaves_nothing_of_what_was_not_kept(store: Path) -> None:
    with incoming() as file:
        assert file.path.exists()
    assert files_in_store() == []


def test_it_keeps_one_copy_of_the_same_content(store: Path) -> None:
    with incoming() as first, incoming() as second:
        first.keep()
        inode = path_of(DIGEST).stat().st_ino
        assert second.keep() == DIGEST
    assert files_in_store() == [path_of(DIGEST)]
    assert path_of(DIGEST).stat().st_ino == inode


def test_it_keeps_one_copy_of_two_at_the_same_moment(store: Path) -> None:
    files = [incoming() for _ in range(6)]
    assert together(*(file.keep for file in files)) == [DIGEST] * 6
    for file in files:
        file.discard()
    assert files_in_store() == [path_of(DIGEST)]
    assert path_of(DIGEST).stat().st_nlink == 1


def test_it_keeps_what_is_kept_when_it_is_kept_or_discarded_again(store: Path) -> None:
    file = incoming()
    assert file.keep() == file.keep() == DIGEST
    file.discard()
    file.discard()
    assert path_of(DIGEST).exists()


def test_it_takes_no_bytes_after_it_was_kept_or_discarded(store: Path) -> None:
    file = incoming()
    file.keep()
    with pytest.raises(ValueError, match="kept or discarded"):
        file.write(b"more")
    file.discard()
    with pytest.raises(ValueError, match="kept or discarded"):
        file.write(b"more")
    assert path_of(DIGEST).read_bytes() == b"weights"


def test_it_does_not_keep_what_was_discarded(store: Path) -> None:
    file = incoming()
    file.discard()
    with pytest.raises(ValueError, match="was discarded"):
        file.keep()
    assert files_in_store() == []


def test_it_replaces_a_blob_that_was_cut_short(store: Path) -> None:
    path_of(DIGEST).parent.mkdir(parents=True)
    path_of(DIGEST).write_bytes(b"wei")
    with incoming() as file:
        file.keep()
    assert path_of(DIGEST).read_bytes() == b"weights"
    assert files_in_store() == [path_of(DIGEST)]


def test_it_keeps_an_empty_file(store: Path) -> None:
    with incoming(b"") as file:
        assert path_of(file.keep()).read_bytes() == b""


def test_it_moves_the_file_where_no_hard_links_can_be_made(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with incoming() as file:
        file.keep()
    assert files_in_store() == [path_of(DIGEST)]


@pytest.mark.parametrize("refused", ["", "-x", ".x", "a/b", "a\\b", "..", "a b", "é", "a\n", "x" * 101, "a\x00"])
def test_it_refuses_an_impossible_name(refused: str) -> None:
    with pytest.raises(Invalid, match="^model_name: must be 1 to 100 of A-Z a-z 0-9"):
        check_name(refused, "model_name")


@pytest.mark.parametrize("name", ["a", "0", "resnet18_digits", "A.b-c_d", "x" * 100])
def test_it_takes_a_possible_name(name: str) -> None:
    assert check_name(name) == name
    assert is_name(name)


def test_it_finds_names_that_only_training_gives() -> None:
    assert is_name("resnet18_" + "x" * 100)
    assert not is_name("x" * 201)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", DIGEST.upper(), DIGEST + "\n", DIGEST[:-1]])
def test_it_builds_no_path_from_what_is_no_digest(digest: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        path_of(digest)


def test_it_is_out_of_space_only_when_the_disk_says_so(store: Path) -> None:
    with pytest.raises(OutOfSpace, match="the server's disk is full"), blobs.refusing_when_full():
        raise OSError(28, "No space left on device")
    with pytest.raises(PermissionError), blobs.refusing_when_full():
        raise PermissionError(13, "Permission denied")
