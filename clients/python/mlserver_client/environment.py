"""What a run was made with: Python, packages, git, command, host, GPU. No secrets: variables by an allow list."""

import os
import platform
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from mlserver_client.files import write_json
from mlserver_client.warn import LOG

GIT_WITHIN_S = 5.0
MOST_DIFF_BYTES = 256 * 1024
SHOWN_VARIABLES = re.compile(r"(CUDA|NCCL|OMP|MKL|TORCH|SLURM|MLSERVER_(RUN|TASK)_ID|RANK|LOCAL_RANK|WORLD_SIZE).*")
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL", re.IGNORECASE)


class Capture:
    """Writes `environment.json` beside the training: reading the packages alone takes some 50 ms."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # What the script may change is read now; the rest can wait.
        self._begun = {"argv": list(sys.argv), "cwd": here(), "executable": sys.executable}
        self._source = source_directory()
        self._thread = threading.Thread(target=self._run, name="mlserver-environment", daemon=True)
        self._thread.start()

    def wait(self, within_s: float) -> None:
        self._thread.join(within_s)

    def _run(self) -> None:
        try:
            write_json(self._path, environment(self._begun, self._source))
        except Exception:  # noqa: BLE001 - supervision point: nothing of this may reach the training
            LOG.exception("the environment could not be recorded in %s", self._path)


def environment(begun: dict[str, Any], source: Path) -> dict[str, Any]:
    return {
        "captured_at": time.time(),
        "python": {"version": sys.version, "implementation": platform.python_implementation()},
        "command": begun,
        "packages": packages(),
        "git": git(source),
        "host": host(),
        "gpu": gpu(),
        "variables": variables(),
    }


def packages() -> dict[str, str]:
    """Version by name of every distribution on the path; the first of a name is the one that is imported."""
    from importlib import metadata  # here: it takes a quarter of what importing the library would take

    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(name, distribution.version)
    return dict(sorted(found.items(), key=lambda row: row[0].lower()))


def git(directory: Path) -> dict[str, Any] | None:
    """Commit, branch and what is changed since; None outside a repository or without git."""
    commit = said_by_git(directory, "rev-parse", "HEAD")
    if commit is None:
        return None
    diff = said_by_git(directory, "diff", "--no-ext-diff", "--no-color", "HEAD") or ""
    remote = said_by_git(directory, "config", "--get", "remote.origin.url") or ""
    return {
        "commit": commit.strip(),
        "branch": (said_by_git(directory, "rev-parse", "--abbrev-ref", "HEAD") or "").strip(),
        "remote": re.sub(r"//[^/@]*@", "//", remote.strip()),
        "is_dirty": bool(diff),
        "diff": diff[:MOST_DIFF_BYTES],
        "is_diff_cut": len(diff) > MOST_DIFF_BYTES,
    }


def said_by_git(directory: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(directory), *arguments]
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=GIT_WITHIN_S, env=quiet, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def here() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # somebody removed it
        return ""


def source_directory() -> Path:
    """Where the script lies: in the queue the working directory is the run's, not the code's."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(script).absolute().parent if script else Path(here() or "/")


def host() -> dict[str, Any]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "name": socket.gethostname(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "memory_mib": pages // 1024**2,
    }


def gpu() -> dict[str, Any] | None:
    """From the driver's files, so that nothing of CUDA is touched before the training does."""
    root = Path("/proc/driver/nvidia")
    try:
        driver = re.search(r"\d+(\.\d+)+", (root / "version").read_text())
        told = [path.read_text() for path in sorted(root.glob("gpus/*/information"))]
    except OSError:
        return None
    models = [found[1].strip() for text in told if (found := re.search(r"Model:(.*)", text))]
    return {"driver": driver[0] if driver else None, "models": models}


def variables() -> dict[str, str]:
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if SHOWN_VARIABLES.fullmatch(name) and not SECRET.search(name)
    }
