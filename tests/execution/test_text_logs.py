"""What a script writes as text with the original tracking library comes into the run's own log, once and live."""

import os
from pathlib import Path

import pytest

from tests.execution.supervised import Supervised
from tests.waiting import until

pytestmark = pytest.mark.process

PLACE = "$PWD/.runicorn/vision/resnet/runs/20260307_091502_4fe0b7"
BEGIN = f"mkdir -p {PLACE} && exec 3>{PLACE}/logs.txt"


def test_lines_come_while_it_works_and_the_rest_at_its_end(tmp_path: Path) -> None:
    script = f"{BEGIN}; echo '09:15:02 | begins' >&3; echo out; read line <$PWD/go; printf 'torn' >&3"
    supervised = Supervised(tmp_path, script)
    os.mkfifo(supervised.run_dir / "go")
    supervised.start()
    until(lambda: supervised.log.exists() and "begins" in supervised.log.read_text(), what="the first line")
    assert supervised.process.poll() is None
    (supervised.run_dir / "go").write_text("on\n")
    assert supervised.ended()["exit_code"] == 0
    assert sorted(supervised.log.read_text().splitlines()) == ["09:15:02 | begins", "out", "torn"]
    offset, _, length, stream = supervised.index()[-1]
    assert (offset + length, stream) == (supervised.log.stat().st_size, 1)


def test_a_line_that_is_not_ended_is_not_torn_apart_from_its_own(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, f"{BEGIN}; printf '50%%'; echo text >&3").start()
    supervised.ended()
    assert supervised.log.read_text() == "50%\ntext\n"


def test_each_of_several_runs_comes_once(tmp_path: Path) -> None:
    script = "".join(
        f"mkdir -p $PWD/.runicorn/p/n{number}/runs/r; echo {number} >> $PWD/.runicorn/p/n{number}/runs/r/logs.txt;"
        for number in range(5)
    )
    supervised = Supervised(tmp_path, script + "sleep 1.5").start()
    supervised.ended()
    assert sorted(supervised.log.read_text().split()) == ["0", "1", "2", "3", "4"]


def test_links_and_pipes_are_no_logs(tmp_path: Path) -> None:
    (tmp_path / "outside" / "runs" / "r").mkdir(parents=True)
    (tmp_path / "outside" / "runs" / "r" / "logs.txt").write_text("secret\n")
    script = (
        f"mkdir -p .runicorn/p/a/runs/r .runicorn/p/b/runs/r;"
        f"ln -s {tmp_path}/outside .runicorn/p/link; ln -s {tmp_path}/outside/runs/r/logs.txt .runicorn/p/a/runs/r/;"
        f"mkfifo .runicorn/p/b/runs/r/logs.txt"
    )
    supervised = Supervised(tmp_path, script).start()
    assert supervised.ended()["exit_code"] == 0
    assert supervised.log.read_text() == ""


def test_a_root_that_is_a_link_is_none(tmp_path: Path) -> None:
    (tmp_path / "outside" / "p" / "n" / "runs" / "r").mkdir(parents=True)
    (tmp_path / "outside" / "p" / "n" / "runs" / "r" / "logs.txt").write_text("secret\n")
    supervised = Supervised(tmp_path, f"ln -s {tmp_path}/outside .runicorn").start()
    supervised.ended()
    assert supervised.log.read_text() == ""


def test_the_limit_of_the_log_holds_for_it_too(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, f"{BEGIN}; truncate -s 1T {PLACE}/logs.txt", log_limit_bytes=100_000).start()
    assert supervised.ended()["exit_code"] == 0
    assert supervised.log.stat().st_size < 101_000
    assert "the log reached 100000 bytes" in supervised.log.read_text(errors="replace")
