"""The server's own log as a file: rotated by many processes at once, and never in the way."""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlserver import log_file
from mlserver.log_file import ServerLog, log_to_file
from mlserver.paths import server_logs_root
from tests.serving import RunningServer
from tests.waiting import until


@pytest.fixture
def handlers() -> Iterator[None]:
    """Those of before, afterwards."""
    loggers = [logging.getLogger(name) for name in ("", "django-q")]
    before = [list(logger.handlers) for logger in loggers]
    yield
    for logger, kept in zip(loggers, before, strict=True):
        logger.handlers = kept


def record(text: str, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("test", level, __file__, 1, text, None, None)


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.log"))


@pytest.mark.usefixtures("handlers")
def test_what_any_logger_says_is_in_the_file(home: Path) -> None:
    log_to_file()
    logging.getLogger("mlserver.some").warning("up")
    logging.getLogger("django-q").error("queue")
    lines = (server_logs_root() / "server.log").read_text().splitlines()
    assert [line.split("] ", 1)[1] for line in lines] == [
        "[WARNING] - manage.py mlserver.some: up", "[ERROR] - manage.py django-q: queue",
    ]  # fmt: skip
    assert stat.S_IMODE((server_logs_root() / "server.log").stat().st_mode) == 0o600


@pytest.mark.usefixtures("handlers")
def test_it_is_left_out_when_told_so(home: Path, settings: Any) -> None:
    settings.SERVER_LOG_BYTES = 0
    log_to_file()
    assert not server_logs_root().exists()


@pytest.mark.usefixtures("handlers")
def test_it_goes_without_when_the_file_cannot_be_made(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    server_logs_root().write_text("in the way")
    log_to_file()
    assert "no log file is written" in caplog.text


def test_it_keeps_some_full_files_and_drops_the_oldest(tmp_path: Path) -> None:
    handler = ServerLog(tmp_path, 1000)
    for number in range(200):
        handler.handle(record(f"{number:03d}"))
    handler.close()
    assert names_in(tmp_path) == ["server.1.log", "server.2.log", "server.3.log", "server.4.log", "server.log"]
    order = ["server.4.log", "server.3.log", "server.2.log", "server.1.log", "server.log"]
    numbers = [int(line[-3:]) for name in order for line in (tmp_path / name).read_text().splitlines()]
    assert numbers == list(range(numbers[0], 200))
    assert all(1000 <= (tmp_path / name).stat().st_size < 1100 for name in order[:-1])


def test_processes_at_once_lose_no_line_and_mix_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "KEPT", 1000)
    handler, pids = ServerLog(tmp_path, 20_000), []
    for process in range(4):
        if (pid := os.fork()) == 0:
            for number in range(500):
                handler.handle(record(f"process {process} says {number:04d} " + "x" * 100))
            os._exit(0)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0, 0, 0]
    lines = [line for path in tmp_path.glob("*.log") for line in path.read_text().splitlines()]
    assert all(line.endswith(" " + "x" * 100) and line.startswith("[2") for line in lines)
    said = {(line.split("process ")[1][0], line.split("says ")[1][:4]) for line in lines}
    assert len(lines) == len(said) == 2000


def test_it_goes_on_when_the_file_was_taken_away(tmp_path: Path) -> None:
    handler = ServerLog(tmp_path, 10**6)
    handler.handle(record("one"))
    (tmp_path / "server.log").rename(tmp_path / "moved")
    handler.handle(record("two"))
    assert (tmp_path / "server.log").read_text().endswith("two\n")


def test_a_full_disk_disturbs_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handler = ServerLog(tmp_path, 10**6)
    (tmp_path / "server.log").unlink()
    (tmp_path / "server.log").symlink_to("/dev/full")
    handler.handle(record("lost"))
    (tmp_path / "server.log").unlink()
    handler.handle(record("kept"))
    assert (tmp_path / "server.log").read_text().endswith("kept\n")
    assert capsys.readouterr().err == ""


@pytest.mark.process
def test_every_process_of_a_server_writes_to_it(server: RunningServer) -> None:
    server.start()
    server.kill9("web")
    path = server.home / "logs" / "server.log"
    words = "web ended by signal 9"
    (line,) = until(lambda: [line for line in path.read_text().splitlines() if words in line], what="a line of serve")
    assert "] [WARNING] - serve mlserver.serving.supervise: " in line
    until(server.is_healthy)
    shown = server.api.get("/api/log/server.log").json()["lines"]
    assert {"timestamp": line[1:20], "level": "WARNING", "message": line.partition("] - ")[2]} in shown
