"""Training scripts as real processes with the SDK on their path, and nothing of the server."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

CLIENT = Path(__file__).resolve().parents[2] / "clients" / "python"
PASSED_ON = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR")


def start(folder: Path, code: str, *arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """`code` begins with `rn` imported; it works in `folder`, where its runs go to `.runicorn`."""
    script = folder / "train.py"
    script.write_text("import os, sys, time\nimport mlserver_client as rn\n" + textwrap.dedent(code))
    return subprocess.Popen(
        [sys.executable, str(script), *arguments], cwd=folder, env=environment(env), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def environment(env: dict[str, str] | None = None) -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return passed_on | {"PYTHONPATH": str(CLIENT), "XDG_CONFIG_HOME": "/nonexistent"} | (env or {})


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit status, standard output and error."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def run_script(folder: Path, code: str, *, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    return ended(start(folder, code, env=env))


def run_client(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    """`python -m mlserver_client ...`"""
    return ended(
        subprocess.Popen(
            [sys.executable, "-m", "mlserver_client", *arguments], cwd=folder, env=environment(env), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
    )  # fmt: skip


def run_dir(folder: Path) -> Path:
    """That of the only run below `folder`."""
    (found,) = folder.glob("**/runs/*/events.jsonl")
    return found.parent


def records(directory: Path) -> list[dict[str, Any]]:
    """Of each line that is not empty: a process that opens the file while another writes may leave such a line."""
    return [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines() if line]


def said(directory: Path, file_name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / file_name).read_text())
    return found
