"""Copies for directories on another file system: in parts inside of the queue, whole elsewhere."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from registry import copies
from registry.copies import COPYING, Unfinished, copy
from registry.publish import delete_versions, file_of
from registry.upkeep import upkeep
from tests.registry.contents import published

CONTENT = bytes(range(250)) * 16
BLOCK = 1000


@pytest.fixture
def blob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(copies, "BLOCK_BYTES", BLOCK)
    path = tmp_path / "blob"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """As in a task of the queue whose time is over at once."""
    said: list[bool] = []
    monkeypatch.setattr(copies, "is_queue_task", lambda: True)
    monkeypatch.setattr(copies, "PART_S", -1)
    monkeypatch.setattr(copies, "still_at_work", lambda: said.append(True))
    return said


def test_it_copies_all_at_once_outside_of_the_queue(blob: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "PART_S", -1)
    link = blob.with_name("link")
    copy(blob, link)
    assert link.read_bytes() == CONTENT
    assert sorted(blob.parent.iterdir()) == [blob, link]


def test_a_task_of_the_queue_copies_a_part_says_that_it_lives_and_the_next_goes_on(
    blob: Path, beats: list[bool]
) -> None:
    link, draft = blob.with_name("link"), blob.with_name(f"{COPYING}blob")
    with pytest.raises(Unfinished, match="2000 of 4000 bytes are copied"):
        copy(blob, link)
    assert (draft.read_bytes(), link.exists()) == (CONTENT[: 2 * BLOCK], False)
    draft.write_bytes(CONTENT[:BLOCK] + bytes(BLOCK))  # a block of zeros, as a loss of power may leave it
    with pytest.raises(Unfinished, match="3000 of 4000"):
        copy(blob, link)
    draft.write_bytes(draft.read_bytes() + b"xyz")
    copy(blob, link)
    assert link.read_bytes() == CONTENT
    assert not draft.exists()
    assert len(beats) == 5


def test_what_is_longer_than_the_content_is_begun_again(blob: Path) -> None:
    blob.with_name(f"{COPYING}blob").write_bytes(bytes(9999))
    copy(blob, blob.with_name("link"))
    assert blob.with_name("link").read_bytes() == CONTENT


def test_a_task_of_the_queue_waits_for_no_other_that_copies(blob: Path, beats: list[bool]) -> None:
    with copies.opened(blob.with_name(f"{COPYING}blob")), pytest.raises(Unfinished, match="another process"):
        copy(blob, blob.with_name("link"))
    assert not blob.with_name("link").exists()


def test_it_waits_for_nothing_that_is_no_file(blob: Path) -> None:
    os.mkfifo(blob.with_name(f"{COPYING}blob"))
    with pytest.raises(OSError, match="no plain file"):
        copy(blob, blob.with_name("link"))


def test_nothing_is_left_of_a_copy_that_fails(blob: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "sendfile", full)
    with pytest.raises(OSError, match="No space"):
        copy(blob, blob.with_name("link"))
    assert list(blob.parent.iterdir()) == [blob]


@pytest.mark.django_db(transaction=True)
def test_upkeep_makes_a_large_copy_part_by_part(
    store: Path, blob: Path, monkeypatch: pytest.MonkeyPatch, beats: Any
) -> None:
    real = os.link

    def link(source: Any, target: Any) -> None:
        if "blobs" not in Path(target).parts:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    version = published(content=CONTENT)  # its publisher makes the first part
    path = store / "models" / file_of(version).link_name
    first, second = upkeep(), upkeep()
    assert (first.links_made, first.is_complete) == (0, False)
    assert (second.links_made, second.is_complete) == (1, True)
    assert path.read_bytes() == CONTENT

    gone = published("gone", CONTENT + b"!")
    delete_versions(gone.artifact)
    assert len(list((store / "models").glob(f"{COPYING}*"))) == 1
    upkeep()
    assert list((store / "models").iterdir()) == [path]
