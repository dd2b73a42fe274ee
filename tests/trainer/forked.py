"""The trainer in a process of its own without the seconds that importing torch takes: a copy of this one."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TextIO

from training.trainer.session import run
from training.trainer.settings import Settings
from training.trainer.stopping import Stop


class Forked:
    """What a process does that `python -m training.trainer` starts, with as much of Popen as tests need."""

    def __init__(self, settings: Settings, env: Mapping[str, str], change: Callable[[], None] | None) -> None:
        reader, writer = os.pipe()
        self._process = get_context("fork").Process(target=become_trainer, args=(settings, env, change, writer))
        self._process.start()
        os.close(writer)
        self.stdout: TextIO | None = os.fdopen(reader)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def wait(self, timeout: float) -> int:
        """The exit code."""
        self._process.join(timeout)
        assert self._process.exitcode is not None, f"still there after {timeout} s"
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


@contextmanager
def forked(
    settings: Settings, *, env: Mapping[str, str] | None = None, change: Callable[[], None] | None = None
) -> Iterator[Forked]:
    """`change` is called in the process before it begins. It is killed at the end."""
    process = Forked(settings, env or {}, change)
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


def become_trainer(settings: Settings, env: Mapping[str, str], change: Callable[[], None] | None, writer: int) -> None:
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    sys.stdout = sys.stderr = os.fdopen(1, "w")  # pytest has put its own there
    os.environ.update({"OMP_NUM_THREADS": "1", **env})
    if change is not None:
        change()
    sys.exit(run(settings, Stop()))
