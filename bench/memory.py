"""What processes cost: memory as PSS (shared pages divided among those who share them), CPU in seconds."""

import os
from collections.abc import Iterable
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def pss_mib(pid: int) -> float:
    return _rollup_kib(pid, "Pss:") / 1024


def rss_mib(pid: int) -> float:
    return _rollup_kib(pid, "Rss:") / 1024


def cpu_s(pids: Iterable[int]) -> float:
    """User and system time so far, of the processes and their ended children."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(fields[place]) for place in (11, 12, 13, 14))
    return total / TICKS_PER_S


def _rollup_kib(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
