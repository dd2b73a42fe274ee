"""Runs Python with the original tracking library of Runicorn 0.5.3 on its path, apart from our own packages."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PEERS = Path(sys.prefix) / "peers"
VERSION = "0.5.3"


def environment(**more: str) -> dict[str, str]:
    """`runicorn` can be imported, and nothing of ours."""
    assert (PEERS / "runicorn").is_dir(), f"{PEERS} is missing: `make test` installs it"
    passed_on = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return passed_on | {"PYTHONPATH": str(PEERS), "PYTHONDONTWRITEBYTECODE": "1"} | more


def run_script(source: str, *arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
    """To its end; it fails the test when the script does."""
    command: list[Any] = [sys.executable, "-c", source, *map(str, arguments)]
    ended = subprocess.run(command, env=environment(**env), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended
