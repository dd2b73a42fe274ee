"""The process that looks into an upload: one line of JSON, within limits."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from registry.datasets.__main__ import main
from tests.registry.datasets import making

pytestmark = pytest.mark.process
MEMORY_BYTES = 2 << 30


def confine() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def command(path: Path, name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "registry.datasets", str(path), "--name", name],
        cwd=settings.BASE_DIR,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=confine,
        check=False,
    )


def test_it_prints_the_facts_within_the_limits(tmp_path: Path) -> None:
    path = making.packed(tmp_path / "upload", making.folders("cat", "dog"))
    ended = command(path, "pets.tar.gz")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        "format": "images",
        "sample_count": 6,
        "dimensions": "8x8x3",
        "input_shape": [8, 8, 3],
        "target": "classes",
        "class_count": 2,
        "untrainable_reason": "",
    }


def test_it_prints_why_a_file_is_refused(tmp_path: Path) -> None:
    ended = command(making.text(tmp_path / "upload", "a,b\n1,2\n3\n"), "a.csv")
    assert ended.returncode == 1
    assert json.loads(ended.stdout) == {"error": "line 3 of the CSV file has 1 cells, the first has 2"}


def test_it_says_when_memory_runs_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("registry.datasets.describe.describe", exhausted)
    assert main([str(tmp_path / "a.csv"), "--name", "a.csv"]) == 1
    assert "more memory" in capsys.readouterr().out  # type: ignore[attr-defined]


def test_it_starts_without_the_libraries_a_table_does_not_need(tmp_path: Path) -> None:
    path = making.text(tmp_path / "a.csv", "a,label\n1,x\n2,y\n")
    code = (
        "import sys; from registry.datasets.__main__ import main; "
        f"main([{str(path)!r}, '--name', 'a.csv']); print(sorted({{'numpy', 'PIL', 'django'}} & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=60, check=True
    )
    assert printed.stdout.splitlines()[-1] == "[]"
