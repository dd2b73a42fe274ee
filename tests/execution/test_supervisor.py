"""The supervisor as a real process: what it records, captures, stops and survives."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.execution.supervised import Supervised, is_running
from tests.waiting import until

pytestmark = pytest.mark.process


# Signals 32 and 33 are the C library's own and cannot be reset when the test run itself inherited them as ignored.
RESERVED = 1 << 31 | 1 << 32


def run(root: Path, command: list[str] | str, **spec: object) -> Supervised:
    supervised = Supervised(root, command, **spec).start()
    supervised.ended()
    return supervised


def test_it_records_exit_code_and_log(tmp_path: Path) -> None:
    done = run(tmp_path, "echo out; echo err >&2; exit 3")
    record = done.record("exit")
    assert record is not None
    assert (record["exit_code"], record["exit_signal"], record["stop_reason"]) == (3, None, "")
    assert sorted(done.log.read_text().splitlines()) == ["err", "out"]
    assert record["log_bytes"] == 8


def test_it_indexes_each_write_with_offset_time_and_stream(tmp_path: Path) -> None:
    done = run(tmp_path, "echo out; sleep 0.05; echo err >&2")
    log = done.log.read_bytes()
    entries = done.index()
    assert [(log[start : start + length], stream) for start, _, length, stream in entries] == [
        (b"out\n", 1),
        (b"err\n", 2),
    ]
    assert entries[0][1] < entries[1][1]


def test_it_records_the_signal_that_ended_the_command(tmp_path: Path) -> None:
    record = run(tmp_path, "kill -SEGV $$").record("exit")
    assert record is not None
    assert (record["exit_code"], record["exit_signal"]) == (None, signal.SIGSEGV)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"argv": ["no-such-program"]}, "no-such-program: No such file or directory"),
        ({"cwd": "/no/such/place"}, "working directory /no/such/place: No such file or directory"),
        ({"argv": ["/etc/passwd"]}, "/etc/passwd: Permission denied"),
    ],
)
def test_it_says_why_a_command_cannot_start(tmp_path: Path, spec: dict[str, object], reason: str) -> None:
    done = run(tmp_path, ["ignored"], **spec)
    record = done.record("exit")
    assert record is not None
    assert record["error"] == reason
    assert record["exit_code"] is None
    assert record["exit_signal"] is None
    assert reason in done.log.read_text()


def test_it_gives_the_command_a_clean_process(tmp_path: Path) -> None:
    done = run(
        tmp_path, "grep -E '^Sig(Ign|Blk)' /proc/self/status; readlink /proc/self/fd/0; ls /proc/self/fd | wc -l; env"
    )
    lines = done.log.read_text().splitlines()
    masks = dict(line.split(":\t") for line in lines[:2])
    assert int(masks["SigBlk"], 16) == 0
    assert int(masks["SigIgn"], 16) & ~RESERVED == 0
    assert lines[2] == "/dev/null"
    assert int(lines[3]) <= 5  # 0, 1, 2, ls' own directory and a pipe
    assert {line.split("=")[0] for line in lines[4:]} <= {"PATH", "PWD", "SHLVL", "_", "OLDPWD", "MLSERVER_RUN_ID"}


def test_it_stops_with_term_and_lets_the_command_end_by_itself(tmp_path: Path) -> None:
    running = Supervised(tmp_path, "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done").start()
    until(lambda: running.log.exists() and "ready" in running.log.read_text())
    running.stop()
    record = running.ended()
    assert (record["stop_reason"], record["was_killed"], record["exit_code"]) == ("stopped", False, 0)
    assert "bye" in running.log.read_text()


def test_it_kills_a_command_that_ignores_term_after_its_grace(tmp_path: Path) -> None:
    running = Supervised(tmp_path, "trap '' TERM; echo ready; while :; do sleep 0.05; done").start()
    until(lambda: running.log.exists() and "ready" in running.log.read_text())
    running.stop(grace_s=0.3)
    record = running.ended()
    assert record["was_killed"] is True
    assert record["exit_signal"] == signal.SIGKILL


DOUBLE_FORK = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
os.wait()
while not os.path.exists(sys.argv[1]) or not open(sys.argv[1]).read():
    time.sleep(0.01)
print("daemon started", flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize("ends_first", [True, False])
def test_it_ends_daemons_that_left_their_session(tmp_path: Path, ends_first: bool) -> None:
    pid_file = tmp_path / "daemon.pid"
    command = ["python3", "-c", DOUBLE_FORK, str(pid_file), "0" if ends_first else "600"]
    running = Supervised(tmp_path, command, grace_s=0.5).start()
    until(lambda: running.log.exists() and "daemon started" in running.log.read_text())
    daemon = int(pid_file.read_text())
    if not ends_first:
        running.stop(grace_s=0.5)
    record = running.ended()
    assert not is_running(daemon)
    assert record["leftovers"] >= int(ends_first)


def test_it_ends_a_command_that_forks_wildly(tmp_path: Path) -> None:
    bomb = "import os, time\nfor _ in range(7): os.fork()\nwhile True:\n  if os.fork() == 0: time.sleep(0.02); os._exit(0)\n  os.waitpid(-1, os.WNOHANG)\n"  # noqa: E501
    running = Supervised(tmp_path, ["python3", "-c", bomb], grace_s=0.2).start()
    started = running.started()
    running.stop(grace_s=0.2)
    running.ended(within_s=60)
    assert not is_running(started["pid"])
    mark = f"MLSERVER_RUN_ID={running.run_id}".encode()
    assert [pid for pid in psutil.pids() if mark in environ_of(pid)] == []


def environ_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes() if is_running(pid) else b""
    except OSError:
        return b""


def test_it_enforces_the_time_limit(tmp_path: Path) -> None:
    record = run(tmp_path, ["sleep", "60"], time_limit_s=0.2).record("exit")
    assert record is not None
    assert record["stop_reason"] == "timeout"
    assert record["ended_at"] - record["started_at"] < 5


def test_it_goes_on_when_the_command_closes_its_output(tmp_path: Path) -> None:
    record = run(tmp_path, "exec >&- 2>&-; sleep 0.2; exit 7").record("exit")
    assert record is not None
    assert record["exit_code"] == 7


def test_it_puts_back_a_log_that_the_job_deleted(tmp_path: Path) -> None:
    done = run(tmp_path, 'echo before; rm -rf "$PWD"; cd /; echo after')
    record = done.record("exit")
    assert record is not None
    assert done.log.read_text() == "before\nafter\n"
    assert any("put back" in note for note in record["notes"])


def test_it_drops_what_is_beyond_the_log_limit_and_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, "head -c 300000 /dev/zero | tr '\\0' x; echo end", log_limit_bytes=100_000)
    record = done.record("exit")
    assert record is not None
    assert record["exit_code"] == 0
    assert record["dropped_bytes"] == 200_004
    log = done.log.read_bytes()
    assert log[:100_000] == b"x" * 100_000
    assert b"the log reached 100000 bytes" in log[100_000:]


def test_it_starts_the_command_once_however_many_supervisors_there_are(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, "echo once; sleep 0.3")
    started = [supervised.start().process for _ in range(5)]
    for process in started:
        process.wait(timeout=20)
    assert supervised.log.read_text() == "once\n"


def test_it_does_not_start_what_was_stopped_before(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, "echo started")
    (supervised.control / "stop.json").write_text('{"reason": "stopped", "grace_s": 1}')
    record = supervised.start().ended()
    assert (record["stop_reason"], record["exit_code"]) == ("stopped", None)
    assert supervised.record("exec") is None


def test_it_is_small(tmp_path: Path) -> None:
    running = Supervised(tmp_path, ["sleep", "60"]).start()
    running.started()
    rss_kib = int(
        next(x for x in Path(f"/proc/{running.process.pid}/status").read_text().splitlines() if "VmRSS" in x).split()[1]
    )  # noqa: E501
    running.stop(grace_s=1)
    running.ended()
    assert rss_kib <= 12 * 1024


def test_it_lets_the_kernel_end_a_command_that_outgrows_its_memory(tmp_path: Path) -> None:
    if not os.access("/sys/fs/cgroup/memory", os.W_OK) and os.geteuid() != 0:
        pytest.skip("a control group with a memory limit needs root")
    hog = "x = []\nwhile True: x.append(bytearray(2**20))"
    record = run(tmp_path, ["python3", "-c", hog], memory_mib=100).record("exit")
    assert record is not None
    assert record["exit_signal"] == signal.SIGKILL
    assert record["oom_kills"] >= 1
    assert record["max_rss_kib"] <= 110 * 1024


@pytest.fixture
def small_disk(tmp_path: Path):  # type: ignore[no-untyped-def]
    """A file system of 1 MiB; needs the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=1m tmpfs {disk} 2>/dev/null") != 0:
        pytest.skip("mounting a small file system needs root")
    yield disk
    os.system(f"umount -l {disk}")


def test_it_survives_a_full_disk(small_disk: Path) -> None:
    done = run(small_disk, "head -c 3000000 /dev/zero; echo the end is not lost >/dev/null; exit 5")
    record = done.record("exit")
    assert record is not None
    assert record["exit_code"] == 5
    assert record["lost_bytes"] > 1_000_000
    assert record["notes"] == ["log: No space left on device"]
