from pathlib import Path
from typing import Any

import pytest

from mlserver.serving.reload import SourceWatch


@pytest.fixture
def source(tmp_path: Path, settings: Any) -> Path:
    """A file of a package; beside it is one that belongs to none."""
    settings.BASE_DIR = tmp_path
    for folder in ("package/deeper", "no_package"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "no_package" / "job.py").touch()
    (tmp_path / "package" / "deeper" / "module.py").write_text("a = 1\n")
    return tmp_path / "package" / "deeper" / "module.py"


def test_it_notices_a_change_once(source: Path) -> None:
    watch = SourceWatch()
    assert not watch.has_changed()
    source.write_text("a = 2\n")
    assert [watch.has_changed(), watch.has_changed()] == [True, False]


def test_it_notices_new_and_deleted_files(source: Path) -> None:
    watch = SourceWatch()
    other = source.with_name("other.py")
    other.touch()
    assert watch.has_changed()
    other.unlink()
    assert watch.has_changed()


def test_it_waits_for_a_file_that_cannot_be_parsed(source: Path, caplog: pytest.LogCaptureFixture) -> None:
    watch = SourceWatch()
    source.write_text("a = (\n")
    assert not watch.has_changed()
    assert "not restarting" in caplog.text
    source.write_text("a = (2)\n")
    assert watch.has_changed()


def test_it_ignores_files_of_jobs(source: Path, tmp_path: Path) -> None:
    watch = SourceWatch()
    (tmp_path / "no_package" / "job.py").write_text("b = 1\n")
    assert not watch.has_changed()
