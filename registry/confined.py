"""`python -m registry.confined PARENT CPU_S MEMORY_BYTES MODULE ARGUMENT...`: run a module on what strangers sent.

Its memory, files and time are bounded by the kernel before it starts, it stands back for others, can write no file at
all, and dies with the process of number PARENT that started it.
"""

import os
import resource
import runpy
import sys

from mlserver.serving.parent_death import die_with

OPEN_FILES = 64
# On a busy machine those who ask and those who train come first.
NICER = 10


def main() -> None:
    parent, cpu_s, memory_bytes = map(int, sys.argv[1:4])
    sys.argv = sys.argv[4:]
    die_with(parent)
    os.nice(NICER)
    # RLIMIT_DATA, not RLIMIT_AS: a large file that is mapped to be read costs no memory.
    limit(resource.RLIMIT_DATA, memory_bytes)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))  # SIGXCPU first: it says what happened
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def limit(which: int, most: int) -> None:
    """Never above what we were given ourselves."""
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(which, (most, most))


if __name__ == "__main__":
    main()
