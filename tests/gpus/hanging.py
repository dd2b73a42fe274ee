"""A driver that does not answer: the script of the simulated devices is a pipe that nobody writes to."""

import os
from pathlib import Path

from tests.waiting import until


def answer_fifo(script: Path) -> None:
    """Let it answer that nothing happens on the devices, now and from now on."""
    pipe = until(lambda: opened(script), what="somebody waits for the answer")
    script.unlink()
    os.write(pipe, b"{}")
    os.close(pipe)


def opened(script: Path) -> int | None:
    try:
        return os.open(script, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # nobody reads
        return None
