import os
from pathlib import Path
from typing import Any

import pytest

from mlserver.checks import job_account_reaches_its_directories
from training.execution.account import JobAccount, closed_directory, make_way

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


def test_the_way_can_be_passed_but_not_listed(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    make_way(root, root / "project" / "name" / "runs" / "one")
    modes = [path.stat().st_mode & 0o777 for path in (root, root / "project", root / "project" / "name" / "runs")]
    assert modes == [0o711, 0o711, 0o711]
    assert (root / "project/name/runs/one").stat().st_mode & 0o777 == 0o750
