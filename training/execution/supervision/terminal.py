"""The keeper of one terminal: starts a shell on it and ends everything that the shell started.

It is the subreaper of the shell, so nothing gets away. The end comes when the shell ends, when the supervisor of the
run beside it ends, or when the other end of `control` is closed: by the web process, or because that is gone.
"""

from __future__ import annotations

import os
import time
from _signal import SIGHUP, SIGTERM
from fcntl import ioctl
from select import POLLIN, poll
from termios import TIOCSCTTY

from training.execution.supervision import tree
from training.execution.supervision.command import (
    change_directory,
    execute,
    prefer_as_victim,
    reset_signals,
    said,
    switch_account,
)
from training.execution.supervision.records import parse, read_stat, to_json
from training.execution.supervision.signals import signal_pipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

# For editors to save and shells to say good-bye, before what is left is killed.
GRACE_S = 0.3
KILL_AGAIN_S = 0.1
BLOCK_BYTES = 65536


def main(control: int, tty: int) -> int:
    """What to do comes through `control` as one line of JSON; how it ended goes back the same way."""
    spec = read_spec(control)
    if spec is not None:
        Keeper(control, tty, spec).run()
    return 0


def read_spec(control: int) -> dict[str, Any] | None:
    """None when whoever started us has gone."""
    line = b""
    while not line.endswith(b"\n"):
        block = os.read(control, BLOCK_BYTES)
        if not block:
            return None
        line += block
    return parse(line.decode())


class Keeper:
    def __init__(self, control: int, tty: int, spec: dict[str, Any]) -> None:
        self.control, self.tty, self.spec = control, tty, spec
        self.shell = 0
        self.status: int | None = None
        self.poll = poll()
        self.wakeup = signal_pipe()
        tree.become_subreaper()

    def run(self) -> None:
        supervisor = open_pidfd(self.spec["supervisor"])
        if supervisor is None:
            self.report("run")
            return
        for descriptor in (self.control, self.wakeup, supervisor):
            self.poll.register(descriptor, POLLIN)
        self.start()
        why = self.wait(supervisor)
        self.end_all()
        self.report(why)

    def start(self) -> None:
        self.shell = os.fork()
        if self.shell == 0:
            become_shell(self.spec, self.tty)
        os.close(self.tty)  # else its other end would never see the last one closed

    def wait(self, supervisor: int) -> str:
        """Why it is over: `shell`, `run`, `closed` or `terminated`."""
        while True:
            ready = [descriptor for descriptor, _ in self.poll.poll()]
            if self.wakeup in ready and SIGTERM in os.read(self.wakeup, 4096):
                return "terminated"
            self.reap()
            if supervisor in ready:
                return "run"
            if self.status is not None:
                return "shell"
            if self.control in ready:
                return "closed"

    def reap(self) -> bool:
        """Collect ended children, adopted ones too; False when none is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.shell:
                self.status = status

    def end_all(self) -> None:
        """HUP to all, as when a line is cut; what has not ended after a moment is killed."""
        tree.signal_all(os.getpid(), SIGHUP)
        kill_at = time.monotonic() + GRACE_S
        self.poll.unregister(self.control)
        while self.reap():
            self.poll.poll(max(kill_at - time.monotonic(), 0) * 1000 + 1)
            drain(self.wakeup)
            if time.monotonic() >= kill_at:
                tree.kill_all(lambda: tree.descendants(os.getpid()))
                kill_at = time.monotonic() + KILL_AGAIN_S

    def report(self, why: str) -> None:
        exit_code = os.waitstatus_to_exitcode(self.status) if self.status is not None else None
        try:
            os.write(self.control, (to_json({"why": why, "exit_code": exit_code}) + "\n").encode())
        except OSError:
            pass  # nobody waits for it any more


def open_pidfd(who: dict[str, Any]) -> int | None:
    """Readable when this very process ends; None when it has ended."""
    try:
        handle = os.pidfd_open(who["pid"])
    except OSError:
        return None
    # Looked at after opening: from here on the descriptor cannot come to mean another process.
    stat = read_stat(who["pid"])
    return handle if stat is not None and stat[3] == who["start_ticks"] else None


def drain(pipe: int) -> None:
    try:
        os.read(pipe, 4096)
    except BlockingIOError:
        pass


def become_shell(spec: dict[str, Any], tty: int) -> NoReturn:
    """Never returns; why it failed is what the terminal shows."""
    try:
        os.setsid()
        ioctl(tty, TIOCSCTTY, 0)
        for descriptor in (0, 1, 2):
            os.dup2(tty, descriptor)
        prefer_as_victim()
        reset_signals()
        if spec["user"]:  # programs open their terminal by its name
            os.fchown(0, spec["user"]["uid"], -1)
        switch_account(spec["user"])
        os.umask(spec["umask"])
        change_directory(spec["cwd"])
        execute(spec["argv"], spec["env"])
    except BaseException as error:  # noqa: BLE001  nothing may come back from the fork; the reason goes to the terminal
        os.write(2, f"cannot start: {said(error)}\r\n".encode(errors="replace"))
    finally:
        os._exit(127)
