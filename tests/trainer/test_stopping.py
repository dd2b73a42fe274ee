"""SIGTERM, in processes that do without torch."""

import signal
import subprocess
import sys

import pytest

from tests.serving import REPOSITORY
from training.trainer.stopping import EXIT_CODE

pytestmark = pytest.mark.process

PROGRAM = """
import threading, time
from training.trainer import stopping
stopping.GIVE_UP_AFTER_S = 0.1
stop = stopping.Stop()
{begin}
print("ready", flush=True)
{work}
"""
LOOP = "while not stop.is_requested: time.sleep(0.01)\nprint('saved', flush=True)"


@pytest.mark.parametrize(
    ("begin", "work", "code", "said"),
    [
        ("", "time.sleep(60)", EXIT_CODE, "INFO stopped before the first batch\n"),
        ("stop.begin()", LOOP, 0, "saved\n"),
        ("stop.insist()", "time.sleep(60)", EXIT_CODE, "stopped "),
        ("stop.insist(); stop.begin()", LOOP, 0, "saved\n"),
        ("stop.insist(); stop.begin()", "time.sleep(60)", EXIT_CODE, "WARNING stopped without a checkpoint"),
    ],
)
def test_it_ends_by_sigterm(begin: str, work: str, code: int, said: str) -> None:
    program = PROGRAM.format(begin=begin, work=work)
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert said in process.stdout.read()
        assert process.wait(timeout=10) == code
