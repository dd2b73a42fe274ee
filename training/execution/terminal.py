"""Shells on pseudo terminals beside a run: started and ended here alone, in the environment of its command.

This process holds one end of the terminal; a keeper (`keeper.py`) holds the shell, and ends it with all that it started
when this process closes its end or is gone, and when the run ends.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import socket
import struct
import subprocess
import termios
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from mlserver.errors import Conflict
from training.execution import keeper
from training.execution.control import Control
from training.execution.launch import python
from training.models import Run

READ_BYTES = 64 * 1024
WRITE_BYTES = 4096
LARGEST_SIZE = 1000
SHELLS = ("/bin/bash", "/bin/sh")
REPORT_WITHIN_S = 3.0


class Terminal:
    """One shell. All but `end` is for the event loop: `read` and `write` wait there, `hang_up` does not."""

    def __init__(self, descriptor: int, control: socket.socket, keeper: subprocess.Popen[bytes]) -> None:
        self._descriptor, self._control, self._keeper = descriptor, control, keeper
        self._leaves: set[Callable[[], None]] = set()
        self._has_hung_up = False

    async def read(self) -> bytes:
        """What the shell and its programs write; empty once all of them are gone, or after `hang_up`."""
        loop = asyncio.get_running_loop()
        while not self._has_hung_up:
            try:
                return self._read_now()
            except BlockingIOError:
                await self._until(loop.add_reader, loop.remove_reader)
        return b""

    async def write(self, data: bytes) -> None:
        """As if it were typed. Waits while nobody reads it; what comes after the end is dropped."""
        loop = asyncio.get_running_loop()
        while data and not self._has_hung_up:
            try:
                data = data[os.write(self._descriptor, data[:WRITE_BYTES]) :]
            except BlockingIOError:
                await self._until(loop.add_writer, loop.remove_writer)
            except OSError:
                return

    def resize(self, rows: int, columns: int) -> None:
        """Tells the programs, too. Sizes that no screen has are left out."""
        if 0 < rows <= LARGEST_SIZE and 0 < columns <= LARGEST_SIZE and not self._has_hung_up:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def hang_up(self) -> None:
        """Close our end; whoever waits in `read` or `write` goes on. `end` comes next."""
        if not self._has_hung_up:
            self._has_hung_up = True
            for leave in list(self._leaves):
                leave()
            os.close(self._descriptor)

    def end(self) -> str:
        """Blocks until all is gone, for a thread. Why it ended: `shell`, `run`, `closed`, `terminated` or `lost`."""
        with self._control:
            with contextlib.suppress(OSError):  # the keeper may have gone first
                self._control.shutdown(socket.SHUT_WR)
            said = _rest_of(self._control)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(REPORT_WITHIN_S)
        return str(said.get("why", "lost"))

    def _read_now(self) -> bytes:
        """All that is there, up to READ_BYTES: the kernel gives 4 KiB at most at a time. Raises BlockingIOError."""
        found = bytearray()
        while len(found) < READ_BYTES:
            try:
                found += os.read(self._descriptor, READ_BYTES)
            except BlockingIOError:
                if found:
                    break
                raise
            except OSError:  # EIO: nobody has the other side open
                break
        return bytes(found)

    async def _until(self, watch: Callable[[int, Callable[[], None]], None], unwatch: Callable[[int], object]) -> None:
        """Until the event loop says that the descriptor may be used, or it is hung up."""
        ready = asyncio.get_running_loop().create_future()

        def leave() -> None:
            if not ready.done():
                ready.set_result(None)
            if leave in self._leaves:
                self._leaves.remove(leave)
                unwatch(self._descriptor)

        self._leaves.add(leave)
        watch(self._descriptor, leave)
        try:
            await ready
        finally:
            leave()


def open_terminal(run: Run, rank: int) -> Terminal:
    """Blocks for some milliseconds. Raises Conflict when that process of the run is none of ours, or not there any
    more, and OSError when the machine has no room for one more."""
    spec = terminal_spec(run, rank)
    ours, tty = pty.openpty()
    here, there = socket.socketpair()
    try:
        os.set_blocking(ours, False)
        process = subprocess.Popen(
            [python(), "-I", "-S", keeper.__file__, str(there.fileno()), str(tty), run.pk],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={}, start_new_session=True, pass_fds=(there.fileno(), tty),
        )  # fmt: skip
    except BaseException:
        os.close(ours)
        here.close()
        raise
    finally:
        os.close(tty)
        there.close()
    with contextlib.suppress(OSError):  # it has gone: reading says so
        here.sendall(json.dumps(spec).encode() + b"\n")
    return Terminal(ours, here, process)


def terminal_spec(run: Run, rank: int) -> dict[str, Any]:
    """What the keeper needs: environment, directory and account are those that the command was given."""
    control = Control(run.pk, rank)
    given, supervisor = control.read("spec"), control.supervisor()
    if given is None or supervisor is None or not supervisor.is_alive():
        raise Conflict(f"rank {rank} of run {run.pk} has no process on this machine")
    shell = next((path for path in SHELLS if os.access(path, os.X_OK)), SHELLS[-1])
    return {
        "argv": [shell],
        "env": {**given["env"], "TERM": "xterm-256color", "SHELL": shell},
        "cwd": given["cwd"],
        "user": given["user"],
        "umask": given["umask"],
        "supervisor": asdict(supervisor),
    }


def _rest_of(control: socket.socket) -> dict[str, Any]:
    control.settimeout(REPORT_WITHIN_S)
    said = b""
    with contextlib.suppress(OSError):
        while block := control.recv(4096):
            said += block
    with contextlib.suppress(ValueError):
        return dict(json.loads(said))
    return {}
