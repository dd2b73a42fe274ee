"""The capture that the server starts beside a job, called by hand."""

import json
import os
from pathlib import Path

import pytest
from mlserver_client import capture


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.chdir(tmp_path)


def test_it_writes_the_command_it_was_told(tmp_path: Path) -> None:
    path = tmp_path / "environment.json"
    assert capture.main([str(path), "python", "train.py", "--lr", "1"]) == 0
    facts = json.loads(path.read_text())
    assert facts["command"]["argv"] == ["python", "train.py", "--lr", "1"]
    assert facts["command"]["cwd"] == str(tmp_path)
    assert "pytest" in facts["packages"]


def test_what_was_written_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "environment.json"
    path.write_text("{}")
    capture.main([str(path), "python"])
    assert path.read_text() == "{}"


@pytest.mark.parametrize(
    ("command", "place"),
    [
        (["python", "sub/train.py"], "sub"),
        (["python", "-W", "ignore", "/bin/torchrun", "--nproc=2", "sub/train.py"], "sub"),
        (["python", "missing.py"], ""),
        (["python", "-m", "package"], ""),
        (["sleep", "1"], ""),
        ([], ""),
    ],
)
def test_the_code_lies_beside_the_script_that_is_named(tmp_path: Path, command: list[str], place: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "train.py").touch()
    assert capture.source_of(command, tmp_path) == tmp_path / place
