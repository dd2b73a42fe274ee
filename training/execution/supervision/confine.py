"""A control group of its own for a command with a memory limit, below the supervisor's group.

Where groups cannot be made (no right to, or a version 2 group that holds processes itself) the command runs without:
memory is then reserved in the ledger only. References: kernel docs cgroup-v1/memory.rst and cgroup-v2.rst.
"""

from __future__ import annotations

import os

TREE = "/sys/fs/cgroup"


class Confinement:
    """`directory` is empty when there is no group of our own; the counter is then the supervisor's group's."""

    def __init__(self, run_id: str, rank: int, memory_mib: int | None) -> None:
        self.directory = ""
        self.is_v1, self.parent = own_group()
        if memory_mib and self.parent:
            self.make(f"{self.parent}/mlserver-{run_id}-{rank}", memory_mib * 1024**2)
        self.kills_before = self.count_kills()

    def make(self, directory: str, limit_bytes: int) -> None:
        try:
            if not self.is_v1:
                put(f"{self.parent}/cgroup.subtree_control", "+memory")
            os.makedirs(directory, exist_ok=True)
            put(f"{directory}/{'memory.limit_in_bytes' if self.is_v1 else 'memory.max'}", str(limit_bytes))
        except OSError:
            return
        self.directory = directory

    def enter(self) -> None:
        """In the forked child, before it becomes the command."""
        if self.directory:
            put(f"{self.directory}/cgroup.procs", str(os.getpid()))

    def count_kills(self) -> int:
        """How often the kernel killed for memory in this group; 0 when it does not say."""
        name = "memory.oom_control" if self.is_v1 else "memory.events"
        try:
            with open(f"{self.directory or self.parent}/{name}", encoding="utf-8") as file:
                return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), 0)
        except OSError:
            return 0

    def new_kills(self) -> int:
        return self.count_kills() - self.kills_before

    def remove(self) -> None:
        if self.directory:
            try:
                os.rmdir(self.directory)
            except OSError:
                pass  # a zombie is still in it; an empty group costs nothing


def own_group() -> tuple[bool, str]:
    """(is version 1, directory of this process' memory group); an empty directory when there is none."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return False, ""
    for _, controllers, path in groups:
        if controllers == "memory":
            return True, f"{TREE}/memory{path.rstrip('/')}"
    for _, controllers, path in groups:
        if controllers == "":
            return False, f"{TREE}{path.rstrip('/')}"
    return False, ""


def put(path: str, value: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, value.encode())
    finally:
        os.close(file)
