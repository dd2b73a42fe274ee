"""What processes of runs use, from a /proc of the test and from the real one."""

import os
import subprocess
import sys
from pathlib import Path

from tests.waiting import until
from training.tracking.system.processes import PAGE_BYTES, TICKS_PER_S, look, uses


def play(proc: Path, pid: int, parent: int, *, ticks: tuple[int, int, int, int] = (0, 0, 0, 0), pages: int = 0) -> None:
    (proc / str(pid)).mkdir()
    before = " ".join(["0"] * 9)
    after = " ".join(["0"] * 6)
    name = "a (b) c) 7 8"
    text = f"{pid} ({name}) S {parent} {before} {' '.join(map(str, ticks))} {after} {pages} 0\n"
    (proc / str(pid) / "stat").write_text(text)


def test_a_run_is_all_that_descends_from_its_supervisors(tmp_path: Path) -> None:
    play(tmp_path, 10, 1, ticks=(900, 900, 3 * TICKS_PER_S, 0), pages=99)
    play(tmp_path, 11, 10, ticks=(TICKS_PER_S, TICKS_PER_S, 0, TICKS_PER_S), pages=5)
    play(tmp_path, 12, 11, pages=7)
    play(tmp_path, 20, 1, pages=1)
    play(tmp_path, 21, 20, ticks=(TICKS_PER_S // 2, 0, 0, 0), pages=2)
    (tmp_path / "self").mkdir()
    (tmp_path / "77").mkdir()  # ended between the two looks
    found = uses(look(tmp_path), {"a": [10], "b": [20], "gone": [30]})
    assert (found["a"].pids, found["a"].cpu_s, found["a"].rss_bytes) == ({11, 12}, 6.0, 12 * PAGE_BYTES)
    assert (found["b"].pids, found["b"].cpu_s, found["b"].rss_bytes) == ({21}, 0.5, 2 * PAGE_BYTES)
    assert (found["gone"].pids, found["gone"].cpu_s) == (frozenset(), 0)


def test_a_real_process_that_computes_is_seen() -> None:
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        until(lambda: uses(look(), {"me": [os.getpid()]})["me"].cpu_s > 0.05, what="CPU time adds up")
        assert child.pid in uses(look(), {"me": [os.getpid()]})["me"].pids
    finally:
        child.kill()
        child.wait()
