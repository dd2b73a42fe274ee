"""With an account of their own (MLSERVER_JOB_USER) jobs read the content they are given, and no other."""

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.blobs import path_of
from registry.publish import file_of, readable_path
from tests.registry.contents import published

pytestmark = [
    pytest.mark.process,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another account"),
]


@pytest.fixture
def open_store(settings: Any) -> Iterator[Path]:
    """A store that other accounts can come to: pytest's own folders are closed to them."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        settings.MLSERVER_HOME = Path(folder)
        settings.MODELS_DIR, settings.DATASETS_DIR = Path(folder, "models"), Path(folder, "datasets")
        settings.JOB_USER = "nobody"
        yield Path(folder)


def can(*command: object) -> bool:
    """Whether a job's account can do this."""
    account, words = pwd.getpwnam("nobody"), list(map(str, command))
    done = subprocess.run(words, user=account.pw_uid, group=account.pw_gid, extra_groups=[], capture_output=True)
    return done.returncode == 0


def test_it_lets_jobs_read_the_link_they_are_told(open_store: Path) -> None:
    link = readable_path(version := published(type="dataset", file_name="data.csv"))
    assert can("cat", link)
    assert not can("ls", link.parent)
    assert not can("cat", path_of(file_of(version).blob_id))
    assert not can("sh", "-c", f"echo >> {link}")
    assert not can("rm", link)


def test_it_opens_content_that_is_older_than_the_account(open_store: Path, settings: Any) -> None:
    settings.JOB_USER = ""
    link = readable_path(version := published())
    assert not can("cat", link)
    settings.JOB_USER = "nobody"
    assert readable_path(version) == link
    assert can("cat", link)
