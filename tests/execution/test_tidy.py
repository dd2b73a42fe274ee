"""Directories of sessions: kept as long as somebody may go on from them."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from tests.make import make_session, make_task
from training import paths
from training.execution.tidy import tidy
from training.models import TrainingSession

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


def session_with_checkpoint(**task: object) -> Path:
    session: TrainingSession = make_session(task=make_task(is_session=True, pending_runs=0, **task))
    directory = paths.session_dir(session.pk)
    directory.mkdir(parents=True)
    (directory / "checkpoint.pt").write_bytes(b"weights")
    return directory


@pytest.mark.parametrize("status", ["held", "waiting", "active", "failed", "stopped"])
def test_it_keeps_what_a_session_may_go_on_from(status: str) -> None:
    directory = session_with_checkpoint(status=status)
    assert tidy() == 0
    assert (directory / "checkpoint.pt").exists()


def test_it_frees_what_a_completed_session_left() -> None:
    directory = session_with_checkpoint(status="completed", ended_at=timezone.now() - timedelta(minutes=2))
    assert tidy() == 1
    assert not directory.exists()


def test_it_leaves_a_session_alone_that_has_just_completed() -> None:
    directory = session_with_checkpoint(status="completed", ended_at=timezone.now())
    assert (tidy(), directory.exists()) == (0, True)


def test_it_frees_what_a_deleted_session_left() -> None:
    directory = session_with_checkpoint(status="stopped", deleted_at=timezone.now())
    assert (tidy(), directory.exists()) == (1, False)


def test_it_frees_what_belongs_to_nobody_and_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    root = paths.sessions_root()
    for name in ("sess_000000000000", "sess_222222222222", ".removed-sess_333333333333-1"):
        (root / name).mkdir(parents=True)
    os.utime(root / "sess_000000000000", (0, 0))
    (root / "sess_111111111111").symlink_to(tmp_path / "elsewhere")
    assert tidy() == 2
    assert (tmp_path / "elsewhere").exists()
    # The younger one may belong to a database that was put back: it is kept for a week.
    assert sorted(path.name for path in root.iterdir()) == ["sess_111111111111", "sess_222222222222"]


def test_without_any_session_there_is_nothing_to_do() -> None:
    assert tidy() == 0
