"""Why a run ended: the exit class, and the evidence for it in a sentence."""

import os
import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psutil

from training.models import ExitClass, RunStatus

# What CUDA, PyTorch, JAX, cuBLAS, NumPy and Python themselves print when memory runs out.
OUT_OF_MEMORY = re.compile(
    r"CUDA out of memory|OutOfMemoryError|CUDA error: out of memory|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation"
    r"|CUBLAS_STATUS_ALLOC_FAILED|RESOURCE_EXHAUSTED: Out of memory|^MemoryError\b|_ArrayMemoryError"
    r"|std::bad_alloc|Cannot allocate memory",
    re.MULTILINE,
)
KERNEL_KILL = re.compile(r"Killed process (\d+) \(([^)]*)\)")
STATUS_OF = {ExitClass.OK: RunStatus.FINISHED, ExitClass.STOPPED: RunStatus.STOPPED}
RETRIED = (ExitClass.ERROR, ExitClass.OOM, ExitClass.KILLED, ExitClass.NODE_LOST)


@dataclass(frozen=True)
class Outcome:
    exit_class: ExitClass
    reason: str

    @property
    def status(self) -> RunStatus:
        return STATUS_OF.get(self.exit_class, RunStatus.FAILED)


def classify(record: dict[str, Any], last_lines: str, kernel_log: Iterable[str] | None = None) -> Outcome:
    """`record` is an exit record, `last_lines` the end of the log, `kernel_log` lines of the run's lifetime,
    None when the kernel's log may not be read.

    Only exit code 0 in a record is success, and only when nobody stopped the run.
    """
    code, signum = record.get("exit_code"), record.get("exit_signal")
    given = record.get("class")
    if given:
        return Outcome(ExitClass(given), str(record.get("error") or given))
    if record.get("stop_reason"):
        return stopped(record, how_it_ended(code, signum))
    if code is None and signum is None:
        return Outcome(ExitClass.LAUNCH_FAILED, str(record.get("error") or "the command could not be started"))
    if code == 0:
        return Outcome(ExitClass.OK, "exit code 0")
    return failed(record, last_lines, kernel_log)


def stopped(record: dict[str, Any], how: str) -> Outcome:
    why = record["stop_reason"]
    by_force = " after its grace was over" if record.get("was_killed") else ""
    if why == "timeout":
        return Outcome(ExitClass.TIMEOUT, f"the time limit was reached; {how}{by_force}")
    if why == "stopped":
        return Outcome(ExitClass.STOPPED, f"stopped by a user; {how}{by_force}")
    if why == "rank_failed":
        return Outcome(ExitClass.ERROR, f"ended because another rank failed; {how}{by_force}")
    return Outcome(ExitClass.KILLED, f"the supervisor was told to end from outside the server; {how}{by_force}")


def failed(record: dict[str, Any], last_lines: str, kernel_log: Iterable[str] | None) -> Outcome:
    code, signum = record.get("exit_code"), record.get("exit_signal")
    how = how_it_ended(code, signum)
    was_sigkilled = signum == signal.SIGKILL or code == 128 + signal.SIGKILL
    if was_sigkilled and (evidence := kernel_evidence(record, kernel_log)):
        return Outcome(ExitClass.OOM, f"{how}; {evidence}")
    if found := OUT_OF_MEMORY.search(last_lines):
        return Outcome(ExitClass.OOM, f"{how}; its last lines say: {line_around(last_lines, found)}")
    if signum is not None:
        return Outcome(ExitClass.KILLED, how)
    return Outcome(ExitClass.ERROR, how)


def kernel_evidence(record: dict[str, Any], kernel_log: Iterable[str] | None) -> str:
    """What shows that the kernel killed for memory, else empty.

    A counter of the run's own control group proves it. One that is shared with other runs counts only where the
    kernel's log, which names processes, cannot be asked.
    """
    kills = record.get("oom_kills", 0)
    if kills > 0 and (kernel_log is None or not record.get("is_oom_counter_shared")):
        return f"the control group counts {kills} kills for memory"
    line = kernel_kill(record, kernel_log or ())
    return f"the kernel log says: {line.strip()[:200]}" if line else ""


def kernel_kill(record: dict[str, Any], kernel_log: Iterable[str]) -> str:
    """The line in which the kernel says that it killed for memory, else empty.

    A command killed itself must be the one that is named; of a shell whose child was killed we know no number.
    """
    pid = record.get("pid") if record.get("exit_signal") == signal.SIGKILL else None
    for text in kernel_log:
        if (found := KERNEL_KILL.search(text)) and pid in (None, int(found[1])):
            return text
    return ""


def how_it_ended(code: int | None, signum: int | None) -> str:
    if signum is not None:
        return f"ended by {signal_name(signum)}"
    return f"exit code {code}" if code is not None else "it had not started"


def signal_name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"


def line_around(text: str, found: re.Match[str]) -> str:
    start = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.end())
    return text[start : end if end >= 0 else None].strip()[:200]


def kernel_log_since(started_at: float) -> list[str] | None:
    """Lines of the kernel's ring buffer after `started_at` (epoch s); None without the right to read it."""
    try:
        kmsg = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    boot = psutil.boot_time()
    lines = []
    try:
        while record := os.read(kmsg, 8192):
            head, _, text = record.decode(errors="replace").partition(";")
            if boot + int(head.split(",")[2]) / 1e6 >= started_at - 1:
                lines.append(text.splitlines()[0])
    except (OSError, ValueError, IndexError):
        return lines
    finally:
        os.close(kmsg)
    return lines
