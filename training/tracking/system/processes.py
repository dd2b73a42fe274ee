"""One look at all processes of the machine, and what those of each run use."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Process:
    """From /proc/<pid>/stat (proc(5)): its own CPU time, that of its children it has waited for, and memory."""

    parent: int
    cpu_s: float
    waited_cpu_s: float
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Use:
    """Of the processes below some roots. `cpu_s` counts up, also over those that have ended."""

    pids: frozenset[int]
    cpu_s: float
    rss_bytes: int


def look(proc: Path = Path("/proc")) -> dict[int, Process]:
    """Every process that can be seen now, by pid."""
    found = {}
    for name in os.listdir(proc):  # noqa: PTH208  names alone, of hundreds
        if name.isdigit() and (process := read(proc / name / "stat")):
            found[int(name)] = process
    return found


def read(stat: Path) -> Process | None:
    """None when it has ended."""
    try:
        content = stat.read_bytes()
    except OSError:
        return None
    # The command name stands in parentheses and may hold anything: fields begin after the last one.
    fields = content[content.rfind(b")") + 2 :].split()
    user, system, children_user, children_system = map(int, fields[11:15])
    waited_s = (children_user + children_system) / TICKS_PER_S
    return Process(int(fields[1]), (user + system) / TICKS_PER_S, waited_s, int(fields[21]) * PAGE_BYTES)


def uses(processes: Mapping[int, Process], roots: Mapping[str, Iterable[int]]) -> dict[str, Use]:
    """By key of `roots` (supervisors, which wait for whatever their job leaves): the use of all below them."""
    children: dict[int, list[int]] = {}
    for pid, process in processes.items():
        children.setdefault(process.parent, []).append(pid)
    return {key: use_of(processes, children, list(pids)) for key, pids in roots.items()}


def use_of(processes: Mapping[int, Process], children: Mapping[int, list[int]], roots: list[int]) -> Use:
    """A root's own time is not its job's, but that of the children it has waited for is."""
    cpu_s = sum(processes[pid].waited_cpu_s for pid in roots if pid in processes)
    pids: set[int] = set()
    todo = [child for root in roots for child in children.get(root, ())]
    while todo:
        pid = todo.pop()
        pids.add(pid)
        todo += children.get(pid, ())
    cpu_s += sum(processes[pid].cpu_s + processes[pid].waited_cpu_s for pid in pids)
    return Use(frozenset(pids), cpu_s, sum(processes[pid].rss_bytes for pid in pids))
