"""A real server of its own home on a free port, for tests and benches that need processes."""

import atexit
import contextlib
import functools
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx

from tests.waiting import until

REPOSITORY = Path(__file__).resolve().parent.parent
KEY = "static-key-of-this-test-server"
START_WITHIN_S = 60
# How many parallel workers find ports of their own.
WORKERS = 16
# Nothing of the test run itself reaches the server but what finds the interpreter and its libraries.
PASSED_ON = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR")


class RunningServer:
    """`manage.py serve` in `home`. Made once, it may be started again after `stop` or `kill9("serve")`.

    Use as a context manager: at its end everything of the home is killed, supervisors and jobs, too.
    `env` adds to or replaces the environment; a value of None leaves a variable out.
    """

    def __init__(self, home: Path, *, env: dict[str, str | None] | None = None) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = KEY
        self.env = server_environment(home) | {"API_PORT": str(self.port), "API_KEYS": KEY}
        for name, value in (env or {}).items():
            self.env.pop(name, None)
            if value is not None:
                self.env[name] = value
        self.output = home.parent / f"{home.name}.out"
        self.process: subprocess.Popen[bytes] | None = None
        self.api = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.api.close()
        self.end_everything()

    def start(self, *arguments: str) -> Self:
        """Returns when HTTP answers and a task that the agent queued was executed by the qcluster."""
        started_at = time.time()
        prepare_database(self.home, self.env)
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", *arguments],
                cwd=REPOSITORY, env=self.env, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        until(lambda: self.is_up(since=started_at), within_s=START_WITHIN_S, what=f"started; {self.output}")
        return self

    def is_up(self, *, since: float) -> bool:
        assert self.process is None or self.process.poll() is None, self.said()
        marks = (self.home / "qcluster.beat", self.home / "qcluster.json")
        return all(mark.exists() and mark.stat().st_mtime > since for mark in marks) and self.is_healthy()

    def is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def stop(self, signum: int = signal.SIGTERM, *, is_terminal: bool = False) -> tuple[int, float]:
        """Exit status of serve, and the seconds it took; a terminal signals every process of the group."""
        assert self.process is not None
        asked_at = time.monotonic()
        send = os.killpg if is_terminal else os.kill
        send(self.process.pid, signum)
        status = self.process.wait(timeout=20)
        return status, time.monotonic() - asked_at

    def pids(self) -> dict[str, list[int]]:
        """Living processes by role: serve web agent qcluster sentinel worker monitor pusher."""
        roles: dict[str, list[int]] = {}
        for pid in descendants(self.process.pid) if self.process is not None else []:
            if role := role_of(title(pid)):
                roles.setdefault(role, []).append(pid)
        return roles

    def pid(self, role: str) -> int:
        """Waits for the role to be filled."""
        return until(lambda: self.pids().get(role), what=f"a process {role}")[0]

    def kill9(self, role: str) -> int:
        """SIGKILL the first process of that role; its pid."""
        pid = self.pid(role)
        os.kill(pid, signal.SIGKILL)
        if role == "serve" and self.process is not None:
            self.process.wait(timeout=10)
        return pid

    def assert_runs_a_task(self, *, within_s: float = 10) -> None:
        """Submits /bin/true and waits until it has completed: web, queue, agent and supervisor all did their part."""
        answer = self.api.post("/api/v1/tasks", json={"command": ["/bin/true"]})
        assert answer.status_code == 201, answer.text
        number = answer.json()["id"]
        until(
            lambda: self.api.get(f"/api/v1/tasks/{number}").json()["status"] == "completed",
            within_s=within_s, what=f"task {number} completed; {self.output}",
        )  # fmt: skip

    def recorded_pids(self) -> list[int]:
        """What the server wrote down of itself, also after it died."""
        found = []
        for name in ("serve.json", "qcluster.json"):
            with contextlib.suppress(FileNotFoundError):
                found += [row["pid"] for row in json.loads((self.home / name).read_text()).values()]
        return found

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`manage.py` with the environment of this server."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=REPOSITORY, env=self.env, capture_output=True, text=True, timeout=60)

    def end_everything(self) -> None:
        """SIGKILL serve and every process that carries this home in its command line or environment."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=10)
        mark = os.fsencode(self.home)
        until(lambda: not [pid for pid in all_pids() if carries(pid, mark) and kill(pid)], what="everything ended")


def server_environment(home: Path) -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return passed_on | {"MLSERVER_HOME": str(home), "MLSERVER_DEMO": "0", "DJANGO_SETTINGS_MODULE": "mlserver.settings"}


def free_port() -> int:
    """A port that nobody else gets between now and its use: each parallel worker takes others, the system none."""
    return next(port for port in _own_ports if can_listen(port))


def own_ports() -> Iterator[int]:
    """A share of the ports from 10240 to 32767, below those that the system hands out, from a random one on."""
    worker, size = os.environ.get("PYTEST_XDIST_WORKER", "gw0"), 22528 // WORKERS
    first = 10240 + size * (int(worker.removeprefix("gw")) % WORKERS)
    start = random.randrange(size)
    return itertools.cycle([*range(first + start, first + size), *range(first, first + start)])


_own_ports = own_ports()


def can_listen(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def prepare_database(home: Path, env: dict[str, str]) -> None:
    """Migrate; the embedded database is migrated once and copied."""
    home.mkdir(mode=0o700, exist_ok=True)
    if "DATABASE_URL" in env:
        migrate(env)
    elif not (home / "db.sqlite3").exists():
        shutil.copy(migrated_database(), home / "db.sqlite3")


@functools.cache
def migrated_database() -> Path:
    home = Path(tempfile.mkdtemp(prefix="mlserver-migrated-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    migrate(server_environment(home))
    return home / "db.sqlite3"


def migrate(env: dict[str, str]) -> None:
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=REPOSITORY, env=env, check=True, timeout=120)


def role_of(words: str) -> str | None:
    """From the process title."""
    if words.startswith("mlserver: "):
        return words.removeprefix("mlserver: ").split()[0]
    if not words.startswith("qcluster "):
        return None
    titles = {"parent": "qcluster", "sentinel": "sentinel", "monitor": "monitor", "pusher": "pusher"}
    return titles.get(words.split()[-1], "worker" if " idle" in words or " processing" in words else None)


def title(pid: int) -> str:
    return read(pid, "cmdline").rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")


def all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def descendants(pid: int) -> list[int]:
    """`pid` and everything below it that is alive."""
    parents = {}
    for other in all_pids():
        fields = read(other, "stat").rpartition(b")")[2].split()
        if fields and fields[0] not in (b"Z", b"X"):
            parents[other] = int(fields[1])
    family = [pid] if pid in parents else []
    for member in family:
        family += [other for other, parent in parents.items() if parent == member]
    return family


def is_alive(pid: int) -> bool:
    fields = read(pid, "stat").rpartition(b")")[2].split()
    return bool(fields) and fields[0] not in (b"Z", b"X")


def carries(pid: int, mark: bytes) -> bool:
    return pid != os.getpid() and is_alive(pid) and (mark in read(pid, "cmdline") or mark in read(pid, "environ"))


def kill(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return True


def read(pid: int, name: str) -> bytes:
    """A file of /proc/<pid>; empty when the process is gone or another user's."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
