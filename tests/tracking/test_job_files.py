"""Opening files of runs: never through a link, never above the root, wherever the run lies."""

import os
from pathlib import Path

import pytest

from tests.make import make_sdk_run
from training.models import Run
from training.tracking.job_files import opened_in_run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture(params=["inside", "outside"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """One in our own root, and one whose files lie elsewhere."""
    where = tmp_path.resolve() / "elsewhere" / "vision" / "resnet" / "runs" / "20260307_091502_4fe0b7"
    made = make_sdk_run(outside_dir=str(where) if request.param == "outside" else "")
    made.directory.mkdir(parents=True)
    return made


def content(run: Run, name: str) -> bytes | None:
    with opened_in_run(run, name) as file:
        return None if file is None else file.read(0, file.size)


def test_it_opens_files_of_the_run(run: Run) -> None:
    (run.directory / "media").mkdir()
    (run.directory / "media" / "a.png").write_bytes(b"picture")
    assert content(run, "media/a.png") == b"picture"
    assert content(run, "media/b.png") is None


def test_it_follows_no_link_to_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (run.directory / "events.jsonl").symlink_to(tmp_path / "secret")
    assert content(run, "events.jsonl") is None


def test_it_follows_no_link_on_the_way(run: Run, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    (run.directory / "events.jsonl").write_bytes(b"{}")
    run.directory.parent.rename(moved)
    run.directory.parent.symlink_to(moved)
    assert (run.directory / "events.jsonl").exists() and content(run, "events.jsonl") is None


@pytest.mark.parametrize("name", ["../secret", "media/../../secret", "a\0b", ".", "media/."])
def test_it_never_leaves_the_directory_of_the_run(name: str, run: Run) -> None:
    (run.directory.parent / "secret").write_bytes(b"secret")
    (run.directory / "media").mkdir()
    assert content(run, name) is None


def test_what_is_no_regular_file_is_none(run: Run) -> None:
    os.mkfifo(run.directory / "events.jsonl")
    assert content(run, "events.jsonl") is None


@pytest.mark.skipif(os.getuid() == 0, reason="root may list everything")
def test_a_directory_on_the_way_need_not_be_listable(run: Run) -> None:
    (run.directory / "a").write_bytes(b"a")
    run.directory.parent.chmod(0o111)
    assert content(run, "a") == b"a"
    run.directory.parent.chmod(0o755)
