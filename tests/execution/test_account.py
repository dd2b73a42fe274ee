import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlserver.checks import job_account_reaches_its_directories
from mlserver.serving import preparation
from training.execution import account
from training.execution.account import (
    JobAccount,
    closed_directory,
    closed_on_way,
    make_way,
    needed_by_trainings,
    why_no_training_starts,
)

STRANGER = JobAccount("stranger", 4711, 4712, (4712, 4713), "/home/stranger")


@pytest.mark.parametrize(
    ("mode", "owner", "group", "may"),
    [
        (0o700, 0, 0, False),
        (0o711, 0, 0, True),
        (0o710, 0, 4713, True),
        (0o701, 0, 4713, False),
        (0o100, 4711, 0, True),
        (0o011, 4711, 0, False),
    ],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_it_judges_by_owner_group_and_mode(tmp_path: Path, mode: int, owner: int, group: int, may: bool) -> None:
    tmp_path.chmod(mode)
    os.chown(tmp_path, owner, group)
    assert STRANGER.may_enter(tmp_path) is may


def test_it_names_the_first_directory_that_is_closed(tmp_path: Path, settings: Any) -> None:
    closed = tmp_path / "closed"
    (closed / "home").mkdir(parents=True)
    for directory in (*tmp_path.parents, tmp_path):
        if directory.stat().st_uid == os.geteuid() and directory not in (Path("/"), Path("/tmp")):
            directory.chmod(0o711)
    closed.chmod(0o700)
    settings.MLSERVER_HOME = closed / "home"
    assert closed_directory(STRANGER) == closed


def test_a_start_is_refused_when_jobs_could_not_reach_their_directories(tmp_path: Path, settings: Any) -> None:
    tmp_path.chmod(0o700)
    settings.MLSERVER_HOME, settings.JOB_USER = tmp_path / "home", "nobody"
    (refusal,) = job_account_reaches_its_directories(None)
    assert "MLSERVER_JOB_USER='nobody' is refused: it may not enter" in refusal.msg


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that every account may enter, unlike those of pytest."""
    path = Path(tempfile.mkdtemp(prefix="mlserver-account-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("closed", ["venv", "venv/bin", "python", "python/bin"])
def test_it_names_what_is_closed_on_the_way_to_a_program_and_what_it_links_to(open_path: Path, closed: str) -> None:
    program, link = open_path / "python/bin/python3", open_path / "venv/bin/python"
    for path in (program, link):
        path.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    link.symlink_to(program)
    assert closed_on_way(STRANGER, link) is None
    (open_path / closed).chmod(0o700)
    assert closed_on_way(STRANGER, link) == open_path / closed


def test_it_names_a_folder_that_can_be_passed_but_not_listed(open_path: Path) -> None:
    packages = open_path / "packages"
    packages.mkdir(mode=0o711)
    assert closed_on_way(STRANGER, packages) == packages


def test_it_says_why_no_training_can_start_and_what_to_do(
    open_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "needed_by_trainings", lambda: [open_path / "python"])
    (open_path / "python").mkdir(mode=0o700)
    assert why_no_training_starts() == ""
    settings.JOB_USER = "nobody"
    said = why_no_training_starts()
    assert said.startswith(f"MLSERVER_JOB_USER='nobody' may not come to {open_path / 'python'}")
    assert "chmod o+rx" in said


def test_trainings_need_the_interpreter_the_code_and_the_packages(settings: Any) -> None:
    needed = list(needed_by_trainings())
    assert {Path(sys.executable), settings.BASE_DIR} < set(needed)
    assert "numpy" in {path.name for path in needed}


def test_a_start_only_warns_when_trainings_could_not_reach_python(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(preparation, "why_no_training_starts", lambda: "it is closed")
    preparation.warn_of_closed_python()
    assert [record.getMessage() for record in caplog.records] == ["no training can start: it is closed"]


def test_the_way_can_be_passed_but_not_listed(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    make_way(root, root / "project" / "name" / "runs" / "one")
    modes = [path.stat().st_mode & 0o777 for path in (root, root / "project", root / "project" / "name" / "runs")]
    assert modes == [0o711, 0o711, 0o711]
    assert (root / "project/name/runs/one").stat().st_mode & 0o777 == 0o750
