"""Memory that was freed goes back to the system; in a process of its own, as it is for a process as a whole."""

import subprocess
import sys

import pytest

from tests.serving import REPOSITORY

CHILD = """
import gc, threading
import numpy as np
from bench.memory import rss_mib
from mlserver.serving.memory import give_memory_back
import os

give_memory_back()
before = rss_mib(os.getpid())

def work():
    for size in range(1, 25):
        arrays = [np.ones(size * 2**17) for _ in range(2)]  # 1 to 24 MiB each
        del arrays

for _ in range(4):
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
print(rss_mib(os.getpid()) - before)
"""


@pytest.mark.process
def test_a_process_keeps_little_of_what_its_threads_have_freed() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 24
