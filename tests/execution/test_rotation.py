"""The supervisor's log in pieces: what it writes is whole and in its place, whatever happens while it goes on."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.execution.supervised import ENTRY, Supervised
from tests.logs import plain_run
from tests.waiting import until
from training import paths
from training.execution.supervision import rotation
from training.execution.supervision.capture import STDOUT, Capture
from training.models import Run
from training.tracking.logs import FollowedLog, from_offset, tail

COUNT = "import sys\nfor number in range(int(sys.argv[1])): print(f'{number:039d}', flush=True)"
WIDTH = 40  # of a line, so that the text and not the index is full first
STEPS = 5  # renaming the log, making a new one and its index, removing the oldest log and its index


@pytest.fixture
def run(tmp_path: Path, settings: Any) -> Run:
    """A run without a row; its directories are there."""
    made = plain_run(tmp_path, settings)
    made.directory.mkdir(parents=True)
    paths.control_dir(made.pk).mkdir(parents=True)
    return made


def capture_of(run: Run, *, rotate_bytes: int = 400, kept: int = 2, limit_bytes: int = 10**9) -> Capture:
    log, index = str(run.directory / "logs.txt"), str(paths.control_dir(run.pk) / "logs.idx")
    return Capture(log, index, limit_bytes, rotation.Rotation(log, index, rotate_bytes, kept))


def count_into(capture: Capture, first: int, last: int) -> None:
    for number in range(first, last):
        capture.take(b"%039d\n" % number, STDOUT)


def numbers_of(run: Run) -> list[int]:
    """Every whole line that is kept; each stands where it was written."""
    followed, lines = FollowedLog(run, is_over=True), []
    while not lines or followed.has_more:
        lines += followed.advance()
    kept = [line for line in lines if line.stream != "server"]
    assert all(line.offset == WIDTH * int(line.text) for line in kept if not line.is_partial)
    return [int(line.text) for line in kept if not line.is_partial]


def test_it_goes_on_in_new_files_and_keeps_some_of_the_old(tmp_path: Path) -> None:
    done = Supervised(tmp_path, ["python3", "-c", COUNT, "5000"], log_rotate_bytes=10_000, log_kept=2).start()
    assert done.ended()["log_bytes"] == 5000 * WIDTH
    *full, last = sorted(done.run_dir.glob("logs.txt*"), key=lambda path: (path.suffix == ".txt", path.name))
    assert [path.name for path in full] == [f"logs.txt.{base:015d}" for base in bases_in(done.control)[:-1]]
    assert len(full) == 2
    text = b"".join(path.read_bytes() for path in [*full, last])
    base = int(full[0].suffix[1:])
    assert text == b"".join(b"%039d\n" % number for number in range(base // WIDTH, 5000))
    assert all(10_000 <= path.stat().st_size < 10_000 + 2 * 65536 for path in full)


def bases_in(control: Path) -> list[int]:
    """Where the indexes say that the pieces begin; each index covers its piece and no other."""
    indexes = sorted(control.glob("logs.idx.*"))
    bases = [int(path.suffix[1:]) for path in indexes]
    for path, base, end in zip(indexes, bases, [*bases[1:], 5000 * WIDTH], strict=True):
        entries = list(ENTRY.iter_unpack(path.read_bytes()))
        assert (entries[0][0], entries[-1][0] + entries[-1][2]) == (base, end)
    return bases


def test_it_keeps_no_full_piece_when_told_so(run: Run) -> None:
    capture = capture_of(run, kept=0)
    count_into(capture, 0, 35)
    assert numbers_of(run) == [30, 31, 32, 33, 34]
    assert [path.name for path in run.directory.iterdir()] == ["logs.txt"]
    assert [path.name for path in paths.control_dir(run.pk).iterdir()] == ["logs.idx.000000000001200"]


def test_it_rotates_when_the_index_is_full(run: Run) -> None:
    capture = capture_of(run, rotate_bytes=24 * 10)
    for letter in b"abcdefghijklmnopqrs\n" * 2:
        capture.take(bytes([letter]), STDOUT)
    sizes = [path.stat().st_size for path in paths.control_dir(run.pk).iterdir()]
    assert max(sizes) <= 24 * 20
    assert [line.text for line in tail(run).lines] == ["abcdefghijklmnopqrs"] * 2


def test_it_waits_for_the_end_of_a_line_but_not_for_ever(run: Run) -> None:
    capture = capture_of(run)
    capture.take(b"x" * 500, STDOUT)
    capture.take(b"x" * rotation.LINE_BYTES, STDOUT)
    assert not list(run.directory.glob("logs.txt.*"))
    capture.take(b"end\n", STDOUT)
    assert [path.name for path in run.directory.glob("logs.txt.*")] == ["logs.txt.000000000000000"]
    assert from_offset(run, 500 + rotation.LINE_BYTES).lines[0].text == "end"


# -- killed


@pytest.mark.parametrize("step", range(2 * STEPS))
def test_a_death_in_the_middle_loses_nothing(run: Run, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process is gone before the n-th thing that a rotation does, in the first one or the one after it."""
    if (pid := os.fork()) == 0:
        monkeypatch.setattr(rotation, "os", Deadly(step))
        count_into(capture_of(run, kept=1), 0, 100)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    numbers = numbers_of(run)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[-1] in (9, 19, 29, 39)
    assert numbers[0] <= max(numbers[-1] - 9, 0)
    page = tail(run, lines=5)
    assert [int(line.text) for line in page.lines] == numbers[-5:]
    assert page.size_bytes == page.next_offset == WIDTH * (numbers[-1] + 1)
    assert all(line.time for line in page.lines)


class Deadly:
    """The os module, which ends the process before its `step`-th change of a directory."""

    def __init__(self, step: int) -> None:
        self.left = step

    def __getattr__(self, name: str) -> Any:
        call = getattr(os, name)
        return self.deadly(call) if name in ("rename", "open", "unlink") else call

    def deadly(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def or_die(*words: Any, **more: Any) -> Any:
            if words[-1] != rotation.DIRECTORY:
                if self.left == 0:
                    os._exit(9)
                self.left -= 1
            return call(*words, **more)

        return or_die


@pytest.mark.parametrize("after_s", [0.05, 0.1, 0.2])
def test_a_supervisor_killed_at_any_moment_leaves_a_whole_log(run: Run, tmp_path: Path, after_s: float) -> None:
    running = Supervised(
        tmp_path / "killed", ["python3", "-c", COUNT, "10000000"],
        log_path=str(run.directory / "logs.txt"), log_rotate_bytes=2000, log_kept=50,
    ).start()  # fmt: skip
    until(lambda: list(run.directory.glob("logs.txt.*")), what="the first rotation")
    time.sleep(after_s)
    running.process.send_signal(signal.SIGKILL)
    running.process.wait()
    for path in running.control.glob("logs.idx*"):
        path.rename(paths.control_dir(run.pk) / path.name)
    numbers = numbers_of(run)
    assert len(numbers) > 100
    assert numbers == list(range(numbers[0], numbers[-1] + 1))


# -- readers meanwhile


def test_readers_see_every_line_once_while_it_rotates(run: Run) -> None:
    if (writer := os.fork()) == 0:
        capture = capture_of(run, rotate_bytes=8000, kept=100_000)
        count_into(capture, 0, 20_000)
        os._exit(0)
    position, seen = 0, []
    while len(seen) < 20_000:
        page = from_offset(run, position, is_settled=False)
        assert page.kept_from == 0
        seen += [int(line.text) for line in page.lines]
        position = page.next_offset
        newest = [int(line.text) for line in tail(run, lines=5).lines if not line.is_partial]
        assert newest == list(range(newest[0], newest[-1] + 1)) if newest else True
    os.waitpid(writer, 0)
    assert seen == list(range(20_000))


# -- what a job can do, and a full disk


@pytest.fixture
def capture(run: Run) -> Capture:
    made = capture_of(run)
    count_into(made, 0, 9)
    return made


def test_it_leaves_a_directory_alone_that_is_not_the_runs(capture: Capture, run: Run, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "logs.txt").write_text("somebody's\n")
    run.directory.rename(run.directory.with_name("moved"))
    run.directory.symlink_to(victim)
    count_into(capture, 9, 30)
    assert [(path.name, path.read_text()) for path in victim.iterdir()] == [("logs.txt", "somebody's\n")]
    assert capture.notes == ["the log could not be rotated: Not a directory"]


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("/etc/hosts")])
def test_it_writes_on_when_something_else_bears_the_name_of_the_log(
    capture: Capture, run: Run, make: Callable[[Path], None]
) -> None:
    log = run.directory / "logs.txt"
    log.rename(log.with_name("moved"))
    make(log)
    count_into(capture, 9, 30)
    assert (run.directory / "moved").read_bytes() == b"".join(b"%039d\n" % number for number in range(30))
    assert capture.notes == ["the log could not be rotated: File exists"]


def test_it_goes_on_in_the_old_files_when_new_ones_cannot_be_made(
    capture: Capture, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocker = paths.control_dir(run.pk) / "logs.idx.000000000000400"
    blocker.mkdir()
    count_into(capture, 9, 12)
    blocker.rmdir()
    assert numbers_of(run) == list(range(12))
    assert not list(run.directory.glob("logs.txt.*"))
    monkeypatch.setattr(rotation, "RETRY_S", 0)
    count_into(capture, 12, 20)
    assert numbers_of(run) == list(range(20))
    assert [path.name for path in run.directory.glob("logs.txt.*")] == ["logs.txt.000000000000000"]


def test_the_limit_holds_for_a_log_that_cannot_be_rotated(run: Run) -> None:
    capture = capture_of(run, limit_bytes=800)
    (paths.control_dir(run.pk) / "logs.idx.000000000000400").mkdir()
    count_into(capture, 0, 30)
    assert (run.directory / "logs.txt").stat().st_size < 900
    assert capture.facts()["dropped_bytes"] == 400


def test_it_puts_back_the_piece_it_writes(run: Run) -> None:
    capture = capture_of(run)
    count_into(capture, 0, 25)
    for path in run.directory.iterdir():
        path.unlink()
    capture.restore_if_deleted()
    count_into(capture, 25, 27)
    assert numbers_of(run) == [20, 21, 22, 23, 24, 25, 26]
    assert tail(run).kept_from == 800


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB; needs the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=1m tmpfs {disk} 2>/dev/null") != 0:
        pytest.skip("mounting a small file system needs root")
    yield disk
    os.system(f"umount -l {disk}")


def test_what_is_kept_bounds_a_log_without_end(small_disk: Path) -> None:
    """Four MiB go through a disk of one."""
    count = "i=0; while [ $i -lt 8192 ]; do printf '%0511d\\n' $i; i=$((i+1)); done"
    record = Supervised(small_disk, count, log_rotate_bytes=100_000, log_kept=2).start().ended(within_s=60)
    assert (record["exit_code"], record["lost_bytes"], record["log_bytes"]) == (0, 0, 4 * 1024**2)
