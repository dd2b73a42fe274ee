"""Starts, beside the command and after it, what writes down with what it was made: `mlserver_client.capture`.

It runs in the job's account, directory, environment and with its interpreter, as found in its processes; the supervisor
itself reads nothing of the job. It is no part of the command: lowest priority, ended with it, and not counted.
"""

from __future__ import annotations

import os
import time
from _signal import SIGKILL

from training.execution.supervision import tree
from training.execution.supervision.command import (
    change_directory,
    execute,
    prefer_as_victim,
    reset_signals,
    switch_account,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

LIMIT_S = 30.0
# What lies in the job's directory must not be imported; the client comes last, to shadow nothing of the job's.
CODE = (
    "import sys; sys.path[:] = [*filter(None, sys.path), sys.argv.pop(1)]; "
    "from mlserver_client.capture import main; sys.exit(main())"
)


class EnvironmentCapture:
    """At most one process, which is ours to wait for while `pid` is not 0."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.pid = 0
        self.was_killed = False
        self.group = 0

    def look(self, command: int) -> float | None:
        """Start it unless something was written already; end it the next time. When that is, None: never."""
        if self.pid:
            self.end()
            return None
        if os.path.lexists(self.spec["environment"]["path"]):
            return None
        self.group = self.pid = os.fork()
        if self.pid == 0:
            become_capture(self.spec, command)
        return time.monotonic() + LIMIT_S

    def end(self) -> bool:
        """Kill it and what it started; False once nothing of it is left."""
        if not self.group:
            return False
        self.was_killed = True
        try:
            os.killpg(self.group, SIGKILL)
        except ProcessLookupError:
            if self.pid:
                os.kill(self.pid, SIGKILL)  # not the leader of its group yet; not waited for, so it is there
                return True
            self.group = 0
        return self.group != 0

    def ended(self) -> None:
        """It was waited for. What it started may outlive it by a moment when it was killed."""
        self.pid = 0
        if not self.was_killed:
            self.group = 0


def become_capture(spec: dict[str, Any], command: int) -> NoReturn:
    """Never returns."""
    try:
        os.setsid()
        prefer_as_victim()
        os.nice(19)
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        reset_signals()
        switch_account(spec["user"])
        os.umask(spec["umask"])
        program, argv, env, cwd = context_of(spec, command)
        change_directory(cwd)
        wanted = spec["environment"]
        execute([program, "-c", CODE, wanted["client"], wanted["path"], *argv], {**env, "PYTHONDONTWRITEBYTECODE": "1"})
    except BaseException:  # noqa: BLE001  nothing may come back from the fork; the run does without
        pass
    finally:
        os._exit(127)


def context_of(spec: dict[str, Any], command: int) -> tuple[str, list[str], dict[str, str], str]:
    """Interpreter, command, environment and directory of the first Python among the job's processes.

    Of a job without one: the python3 of its path, and what its command was started with.
    """
    for pid in (command, *tree.descendants(command)):
        try:
            argv = words_of(pid, "cmdline")
            if argv and os.path.basename(argv[0]).startswith("python"):
                env = dict(word.split("=", 1) for word in words_of(pid, "environ") if "=" in word)
                return argv[0], argv, env, os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            continue  # it has ended, or became another account's
    return "python3", spec["argv"], spec["env"], spec["cwd"]


def words_of(pid: int, name: str) -> list[str]:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]
