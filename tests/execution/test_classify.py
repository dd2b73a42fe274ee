"""Why a run ended: from exit record, last lines and kernel log to class and reason."""

import signal
from typing import Any

import pytest

from training.execution.classify import Outcome, classify, kernel_log_since
from training.models import ExitClass, RunStatus

TORCH = """Traceback (most recent call last):
  File "train.py", line 12, in <module>
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 23.99 GiB.
"""
KERNEL = "Memory cgroup out of memory: Killed process 4242 (python3) total-vm:1kB, anon-rss:1kB"


def outcome(last_lines: str = "", kernel_log: list[str] | None = None, **record: Any) -> Outcome:
    usual = {"exit_code": None, "exit_signal": None, "stop_reason": "", "was_killed": False, "error": "", "pid": 4242}
    return classify({**usual, "oom_kills": 0, **record}, last_lines, kernel_log or [])


@pytest.mark.parametrize(
    ("record", "exit_class", "reason"),
    [
        ({"exit_code": 0}, "ok", "exit code 0"),
        ({"exit_code": 1}, "error", "exit code 1"),
        ({"exit_code": 255}, "error", "exit code 255"),
        ({"exit_signal": 11}, "killed", "ended by SIGSEGV"),
        ({"exit_signal": 9}, "killed", "ended by SIGKILL"),
        ({"exit_signal": 64}, "killed", "ended by SIGRTMAX"),
        ({"exit_signal": 50}, "killed", "ended by signal 50"),
        ({"exit_code": 0, "stop_reason": "stopped"}, "stopped", "stopped by a user; exit code 0"),
        ({"exit_signal": 15, "stop_reason": "stopped"}, "stopped", "stopped by a user; ended by SIGTERM"),
        (
            {"exit_signal": 9, "stop_reason": "stopped", "was_killed": True},
            "stopped",
            "stopped by a user; ended by SIGKILL after its grace was over",
        ),
        ({"stop_reason": "stopped"}, "stopped", "stopped by a user; it had not started"),
        (
            {"exit_signal": 15, "stop_reason": "timeout"},
            "timeout",
            "the time limit was reached; ended by SIGTERM",
        ),
        ({"exit_code": 0, "stop_reason": "timeout"}, "timeout", "the time limit was reached; exit code 0"),
        (
            {"exit_signal": 15, "stop_reason": "rank_failed"},
            "error",
            "ended because another rank failed; ended by SIGTERM",
        ),
        (
            {"exit_signal": 15, "stop_reason": "terminated"},
            "killed",
            "the supervisor was told to end from outside the server; ended by SIGTERM",
        ),
        ({"error": "python: No such file or directory"}, "launch_failed", "python: No such file or directory"),
        ({}, "launch_failed", "the command could not be started"),
        ({"class": "node_lost", "error": "restarted"}, "node_lost", "restarted"),
        ({"class": "killed", "exit_code": 0}, "killed", "killed"),
        (
            {"exit_signal": 9, "oom_kills": 2},
            "oom",
            "ended by SIGKILL; the control group counts 2 kills for memory",
        ),
        ({"exit_code": 137, "oom_kills": 1}, "oom", "exit code 137; the control group counts 1 kills for memory"),
        ({"exit_code": 1, "oom_kills": 1}, "error", "exit code 1"),
        (
            {"exit_signal": 9, "oom_kills": 1, "stop_reason": "stopped"},
            "stopped",
            "stopped by a user; ended by SIGKILL",
        ),
    ],
)
def test_it_says_class_and_reason(record: dict[str, Any], exit_class: str, reason: str) -> None:
    assert outcome(**record) == Outcome(ExitClass(exit_class), reason)


@pytest.mark.parametrize(
    "line",
    [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 MiB",
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB (GPU 0; 23.69 GiB total)",
        "RuntimeError: CUDA out of memory. Tried to allocate 64.00 MiB",
        "RuntimeError: CUDA error: out of memory",
        "torch.OutOfMemoryError: HIP out of memory.",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cupy_backends.cuda.api.driver.CUDADriverError: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
        "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 bytes.",
        "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7.28 TiB for an array",
        "MemoryError",
        "MemoryError: cannot allocate",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "OSError: [Errno 12] Cannot allocate memory",
    ],
)
def test_it_knows_the_words_for_memory_running_out(line: str) -> None:
    found = outcome(f"epoch 3\n{line}\nlast words", exit_code=1)
    assert found == Outcome(ExitClass.OOM, f"exit code 1; its last lines say: {line}")


@pytest.mark.parametrize("line", ["MemoryErrors are handled", "caught a MemoryError", "memory: 3 GiB", "oom"])
def test_it_takes_no_other_word_for_it(line: str) -> None:
    assert outcome(line, exit_code=1).exit_class == ExitClass.ERROR


def test_a_run_that_only_spoke_of_memory_and_ended_well_is_ok() -> None:
    assert outcome(TORCH, exit_code=0).exit_class == ExitClass.OK


def test_the_time_limit_counts_more_than_what_was_printed() -> None:
    assert outcome(TORCH, exit_code=1, stop_reason="timeout").exit_class == ExitClass.TIMEOUT


def test_the_evidence_is_one_short_line() -> None:
    reason = outcome("x" * 500 + " CUDA out of memory " + "y" * 500, exit_code=1).reason
    assert len(reason) < 260


def test_the_kernel_says_that_it_killed_the_command() -> None:
    assert outcome("", ["something else", KERNEL], exit_signal=signal.SIGKILL) == Outcome(
        ExitClass.OOM, f"ended by SIGKILL; the kernel log says: {KERNEL}"
    )


def test_a_kill_of_another_process_is_no_evidence() -> None:
    assert outcome("", [KERNEL], exit_signal=signal.SIGKILL, pid=17).exit_class == ExitClass.KILLED


def test_a_shell_whose_child_was_killed_for_memory_is_oom() -> None:
    assert outcome("", [KERNEL], exit_code=137, pid=17).exit_class == ExitClass.OOM


@pytest.mark.parametrize("record", [{"exit_code": 1}, {"exit_signal": 15}])
def test_the_kernel_log_says_nothing_of_other_ends(record: dict[str, Any]) -> None:
    assert outcome("", [KERNEL], **record).exit_class != ExitClass.OOM


def test_what_we_killed_ourselves_is_stopped_whatever_the_kernel_says() -> None:
    said = outcome(TORCH, [KERNEL], exit_signal=9, was_killed=True, stop_reason="stopped", oom_kills=1)
    assert said.exit_class == ExitClass.STOPPED


@pytest.mark.parametrize("exit_class", list(ExitClass))
def test_every_class_has_a_status(exit_class: ExitClass) -> None:
    expected = {ExitClass.OK: RunStatus.FINISHED, ExitClass.STOPPED: RunStatus.STOPPED}
    assert Outcome(exit_class, "").status == expected.get(exit_class, RunStatus.FAILED)


def test_the_kernel_log_from_the_future_is_empty() -> None:
    assert kernel_log_since(4e9) == []
