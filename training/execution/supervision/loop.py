"""Start one command, capture what it says, stop it when told or when its time is over, record how it ended."""

from __future__ import annotations

import os
import time
from _signal import SIGTERM
from select import POLLIN, poll

from training.execution.supervision import tree
from training.execution.supervision.capture import READ_BYTES, STDERR, STDOUT, Capture
from training.execution.supervision.command import become_command
from training.execution.supervision.confine import Confinement
from training.execution.supervision.records import (
    claim_record,
    identity,
    read_record,
    reserve_record,
    write_record,
    write_reserved,
)  # fmt: skip
from training.execution.supervision.rotation import Rotation
from training.execution.supervision.signals import signal_pipe
from training.execution.supervision.text_logs import TextLogs

TYPE_CHECKING = False  # the typing module itself would cost milliseconds of start-up
if TYPE_CHECKING:
    from typing import Any

    from training.execution.supervision.environment import EnvironmentCapture

LEFTOVER_GRACE_S = 5.0
KILL_AGAIN_S = 0.2
RETRY_S = 1.0


def main(control: str) -> int:
    """Supervise the run process described by `control`/spec.json; returns 0 also when another supervisor has it."""
    os.umask(0o077)
    spec = read_record(f"{control}/spec.json")
    if not claim_record(f"{control}/supervisor.json", identity(os.getpid())):
        return 0
    reserve_record(f"{control}/exit.reserve")
    supervisor = Supervisor(control, spec)
    supervisor.run()
    supervisor.record_exit()
    notify(spec["fifo"], spec["run_id"])
    return 0


class Supervisor:
    """One process of a run, from before its start to after the end of its last descendant."""

    def __init__(self, control: str, spec: dict[str, Any]) -> None:
        self.control = control
        self.spec = spec
        self.pid = 0
        self.failure = -1
        self.status: int | None = None
        self.error = ""
        self.stop_reason = ""
        self.kill_at: float | None = None
        self.was_killed = False
        self.leftovers = 0
        self.cpu_s = 0.0
        self.max_rss_kib = 0
        self.capture_at: float | None = None
        self.environment: EnvironmentCapture | None = None
        self.started_at = time.time()
        self.confinement = Confinement(spec["run_id"], spec["rank"], spec["memory_mib"])
        self.capture = make_capture(control, spec)
        self.text_logs = TextLogs(spec["text_root"], self.capture)
        self.pipes: dict[int, int] = {}
        self.poll = poll()
        self.wakeup = signal_pipe()
        self.poll.register(self.wakeup, POLLIN)
        tree.become_subreaper()

    def run(self) -> None:
        """Returns when the command and all its descendants are gone and the pipes are read."""
        if self.find_stop():
            self.error = "stopped before it started"
            return
        self.start()
        deadline = time.monotonic() + self.spec["time_limit_s"] if self.spec["time_limit_s"] else None
        while self.reap():
            self.look_at_leftovers()
            self.wait(deadline)
            self.look_at_environment()
            if deadline is not None and not self.stop_reason and time.monotonic() >= deadline:
                self.stop("timeout", self.spec["grace_s"])
            if self.kill_at is not None and time.monotonic() >= self.kill_at:
                self.was_killed = tree.kill_all(lambda: tree.descendants(os.getpid())) > 0 or self.was_killed
                self.kill_at = time.monotonic() + KILL_AGAIN_S
        if self.failure in (descriptor for descriptor, _ in self.poll.poll(0)):
            self.hear_of_start()
        for pipe in list(self.pipes):
            self.drain(pipe)
        self.text_logs.look(is_over=True)
        self.capture.restore_if_deleted()

    def start(self) -> None:
        """Fork and exec; `error` holds the operating system's reason when that fails."""
        out_read, out_write = os.pipe2(os.O_CLOEXEC)
        err_read, err_write = os.pipe2(os.O_CLOEXEC)
        failure_read, failure_write = os.pipe2(os.O_CLOEXEC)
        self.started_at = time.time()
        self.pid = os.fork()
        if self.pid == 0:
            become_command(self.spec, self.confinement, out_write, err_write, failure_write)
        for end in (out_write, err_write, failure_write):
            os.close(end)
        self.failure = failure_read
        self.poll.register(failure_read, POLLIN)
        for pipe, stream in ((out_read, STDOUT), (err_read, STDERR)):
            os.set_blocking(pipe, False)
            self.pipes[pipe] = stream
            self.poll.register(pipe, POLLIN)

    def hear_of_start(self) -> None:
        """The pipe of failures closes when the command was executed; before that it says why it was not.

        Polled like all else: a working directory on a dead network drive may keep the child from either.
        """
        failure = os.read(self.failure, 4096).decode(errors="replace")
        self.poll.unregister(self.failure)
        os.close(self.failure)
        self.failure = -1
        if failure:
            self.error = failure
            self.capture.say(f"cannot start: {failure}")
            return
        write_best(f"{self.control}/exec.json", {**identity(self.pid), "started_at": self.started_at}, self.capture)
        notify(self.spec["fifo"], self.spec["run_id"])
        if self.spec.get("environment"):
            self.capture_at = time.monotonic() + self.spec["environment"]["after_s"]

    def wait(self, deadline: float | None) -> None:
        """Poll until something happens, the next deadline, or the next look at what is written elsewhere."""
        deadlines = (deadline, self.capture_due()) if not self.stop_reason else ()
        ends = [at for at in (*deadlines, self.kill_at, self.text_logs.next_at) if at is not None]
        timeout_ms = max(min(ends) - time.monotonic(), 0) * 1000 + 1
        ready = [descriptor for descriptor, _ in self.poll.poll(timeout_ms)]
        if self.failure in ready:
            self.hear_of_start()
        for pipe in self.pipes.keys() & ready:
            self.read(pipe)
        if self.wakeup in ready and SIGTERM in os.read(self.wakeup, 4096):
            self.told_to_stop()
        if time.monotonic() >= self.text_logs.next_at:
            self.text_logs.look()

    def read(self, pipe: int) -> bool:
        """One block of output; False when there is none now or the other end is closed."""
        try:
            data = os.read(pipe, READ_BYTES)
        except BlockingIOError:
            return False
        if data:
            self.capture.take(data, self.pipes[pipe])
            return True
        self.poll.unregister(pipe)
        os.close(pipe)
        del self.pipes[pipe]
        return False

    def drain(self, pipe: int) -> None:
        while self.read(pipe):
            pass

    def reap(self) -> bool:
        """Collect ended children, adopted ones too; False when none is left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if self.environment is not None and pid == self.environment.pid:
                self.environment.ended()
                continue
            self.cpu_s += usage.ru_utime + usage.ru_stime
            self.max_rss_kib = max(self.max_rss_kib, usage.ru_maxrss)
            if pid == self.pid:
                self.status = status

    def look_at_leftovers(self) -> None:
        """The command has ended but processes it started have not: they get TERM and a short grace."""
        if self.status is None or self.leftovers or self.kill_at is not None:
            return
        if self.environment is not None and self.environment.end():
            return  # its end wakes us again: it is none of what the command left
        self.leftovers = tree.signal_all(os.getpid(), SIGTERM)
        self.kill_at = time.monotonic() + min(self.spec["grace_s"], LEFTOVER_GRACE_S)

    def capture_due(self) -> float | None:
        """When the capture of the environment is to be looked at; it ends with the command."""
        return self.capture_at if self.status is None and not self.stop_reason else None

    def look_at_environment(self) -> None:
        at = self.capture_due()
        if at is None or time.monotonic() < at:
            return
        if self.environment is None:
            # Here: a command that has ended by now did not wait for this, nor did its end.
            from training.execution.supervision.environment import EnvironmentCapture

            self.environment = EnvironmentCapture(self.spec)
        self.capture_at = self.environment.look(self.pid)

    def find_stop(self) -> bool:
        """Was a stop recorded before we could be signalled?"""
        try:
            self.stop_reason = str(read_record(f"{self.control}/stop.json").get("reason", "stopped"))
        except (OSError, ValueError):
            return False
        return True

    def told_to_stop(self) -> None:
        """SIGTERM: from our server with stop.json, or from somebody who shuts the machine down."""
        try:
            order = read_record(f"{self.control}/stop.json")
        except (OSError, ValueError):
            order = {"reason": "terminated", "grace_s": self.spec["grace_s"]}
        self.stop(str(order["reason"]), float(order["grace_s"]))

    def stop(self, reason: str, grace_s: float) -> None:
        """TERM to every descendant now, KILL after the grace. A second call may shorten the grace."""
        kill_at = time.monotonic() + grace_s
        self.kill_at = kill_at if self.kill_at is None else min(kill_at, self.kill_at)
        if not self.stop_reason:
            self.stop_reason = reason
            tree.signal_all(os.getpid(), SIGTERM)

    def record_exit(self) -> None:
        """Write exit.json; on a full disk it goes into the room reserved at the start, else it is tried again."""
        status = None if self.error else self.status
        record = {
            "exit_code": os.WEXITSTATUS(status) if status is not None and os.WIFEXITED(status) else None,
            "exit_signal": os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None,
            "stop_reason": self.stop_reason,
            "was_killed": self.was_killed,
            "error": self.error,
            "started_at": self.started_at,
            "ended_at": time.time(),
            "pid": None if self.error else self.pid or None,
            "cpu_s": round(self.cpu_s, 3),
            "max_rss_kib": self.max_rss_kib,
            "oom_kills": self.confinement.new_kills(),
            "is_oom_counter_shared": not self.confinement.directory,
            "leftovers": self.leftovers,
            **self.capture.facts(),
        }
        self.confinement.remove()
        while os.path.isdir(self.control):
            try:
                write_reserved(f"{self.control}/exit.reserve", f"{self.control}/exit.json", record)
            except OSError:
                time.sleep(RETRY_S)
            else:
                return


def make_capture(control: str, spec: dict[str, Any]) -> Capture:
    log_path, index_path = spec["log_path"], f"{control}/logs.idx"
    rotate_bytes, kept = spec["log_rotate_bytes"], spec["log_kept"]
    rotation = Rotation(log_path, index_path, rotate_bytes, kept) if rotate_bytes else None
    return Capture(log_path, index_path, spec["log_limit_bytes"], rotation)


def write_best(path: str, record: dict[str, Any], capture: Capture) -> None:
    """A record that the run can do without when the disk is full."""
    try:
        write_record(path, record)
    except OSError as error:
        capture.lose(0, error)


def notify(fifo: str, run_id: str) -> None:
    """Wake the agent; without one nobody is woken and its next look finds the records."""
    try:
        pipe = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(pipe, f"{run_id}\n".encode())
    except OSError:
        pass  # full: the agent is awake anyway
    os.close(pipe)
