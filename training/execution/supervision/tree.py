"""All processes below the supervisor, and signals to every one of them.

The supervisor is a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER), so a process whose parents are gone becomes its
child instead of init's: nothing that the command started can leave the tree, however often it forks.
"""

from __future__ import annotations

import os
from _ctypes import call_function, dlopen, dlsym
from _signal import SIGKILL, SIGSTOP, pidfd_send_signal

from training.execution.supervision.records import read_stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_CHILD_SUBREAPER = 36
FREEZE_ROUNDS = 50


def become_subreaper() -> None:
    """By the C half of ctypes: to import the other one would take longer than to start the command."""
    prctl = dlsym(dlopen(None, os.RTLD_NOW), "prctl")  # type: ignore[arg-type]  # typeshed knows no None
    if call_function(prctl, (PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) != 0:
        raise OSError("prctl(PR_SET_CHILD_SUBREAPER) failed")


def descendants(*roots: int) -> dict[int, int]:
    """pid -> start ticks of every live process below one of `roots`, zombies left out."""
    children: dict[int, list[int]] = {}
    starts: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := read_stat(int(name))):
            state, parent, _, start_ticks = stat
            children.setdefault(parent, []).append(int(name))
            if state != "Z":
                starts[int(name)] = start_ticks
    found: dict[int, int] = {}
    todo = list(roots)
    while todo:
        for pid in children.get(todo.pop(), ()):
            todo.append(pid)
            if pid in starts:
                found[pid] = starts[pid]
    return found


def send(pid: int, start_ticks: int, signum: int) -> bool:
    """Signal exactly this process; False when it is gone, also when its number has a new owner."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        stat = read_stat(pid)
        if stat is None or stat[3] != start_ticks:
            return False
        pidfd_send_signal(handle, signum)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def signal_all(root: int, signum: int) -> int:
    """Send `signum` to every process below `root`; returns how many there were."""
    return sum(send(pid, start_ticks, signum) for pid, start_ticks in descendants(root).items())


def kill_all(find: Callable[[], dict[int, int]]) -> int:
    """SIGKILL every process that `find` finds (pid -> start ticks), also ones that fork faster than they are listed.

    All are stopped first, round by round until a round finds none that is new: a stopped process cannot fork.
    Returns how many there were.
    """
    frozen: set[tuple[int, int]] = set()
    for _ in range(FREEZE_ROUNDS):
        new = set(find().items()) - frozen
        for pid, start_ticks in new:
            send(pid, start_ticks, SIGSTOP)
        frozen |= new
        if not new:
            break
    for pid, start_ticks in frozen:
        send(pid, start_ticks, SIGKILL)
    return len(frozen)
