"""Shells on pseudo terminals: what they are given, and that nothing of them is left."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from mlserver.errors import Conflict
from tests.execution.supervised import is_running
from tests.logs import plain_run
from tests.waiting import until
from training.execution.control import Control
from training.execution.identity import ProcessIdentity
from training.execution.terminal import Terminal, open_terminal
from training.models import Run

pytestmark = pytest.mark.process
WITHIN_S = 10
# Which of the two ends of a terminal goes first cannot be told from outside.
CLOSED = ("shell", "closed")
# Leaves the session and its parent, so that only a subreaper knows it.
RUNAWAY = "setsid sh -c 'sleep 777 & echo $! > runaway'"


@pytest.fixture
def supervisor() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


@pytest.fixture
def run(tmp_path: Path, settings: object, supervisor: subprocess.Popen[bytes]) -> Run:
    """With the records that a launch leaves; its supervisor is a sleeper."""
    run = plain_run(tmp_path, settings)
    (tmp_path / "work").mkdir()
    env = {"PATH": os.environ["PATH"], "ANSWER": "42", "PS1": "$ "}
    spec = {"env": env, "cwd": str(tmp_path / "work"), "user": None, "umask": 0o027}
    who = ProcessIdentity.of(supervisor.pid)
    assert who is not None
    Control(run.pk).write("spec", spec)
    Control(run.pk).write("supervisor", asdict(who))
    return run


def on_terminal(run: Run, test: Callable[[Terminal], Awaitable[None]]) -> str:
    """Why the terminal ended."""

    async def talk() -> str:
        terminal = await asyncio.to_thread(open_terminal, run, 0)
        try:
            await asyncio.wait_for(test(terminal), WITHIN_S)
        finally:
            terminal.hang_up()
            why = await asyncio.to_thread(terminal.end)
        return why

    return asyncio.run(talk())


async def shown(terminal: Terminal, until_text: str = "\0") -> str:
    """What the terminal shows until that text, or its end."""
    said = ""
    while until_text not in said and (data := await terminal.read()):
        said += data.decode(errors="replace")
    return said


def pid_in(path: Path) -> int:
    return int(until(lambda: path.exists() and path.read_text().strip(), what=str(path)))


def test_it_has_environment_directory_and_mask_of_the_command(run: Run, tmp_path: Path) -> None:
    async def test(terminal: Terminal) -> None:
        await terminal.write(b"echo $ANSWER $TERM; pwd; umask; exit 3\n")
        said = await shown(terminal)
        assert all(text in said for text in ("42 xterm-256color", str(tmp_path / "work"), "0027"))

    assert on_terminal(run, test) in CLOSED


def test_it_is_a_controlling_terminal_of_the_size_that_was_said(run: Run) -> None:
    async def test(terminal: Terminal) -> None:
        for rows, columns in ((40, 132), (0, 80), (80, 0), (-1, 5), (100_000, 5)):
            terminal.resize(rows, columns)
        await terminal.write(b"sh -c 'stty size </dev/tty; exec sleep 100'\n")
        assert "40 132" in await shown(terminal, "40 132")
        await terminal.write(b"\x03")
        await terminal.write(b"echo $((6 * 7))\n")
        await shown(terminal, "42\r\n")

    assert on_terminal(run, test) in CLOSED


def test_nothing_that_it_started_outlives_it(run: Run, tmp_path: Path) -> None:
    started = [tmp_path / "work" / name for name in ("nohup", "runaway", "stopped")]
    pids: list[int] = []

    async def test(terminal: Terminal) -> None:
        await terminal.write(f"nohup sleep 777 & echo $! > nohup; {RUNAWAY}\n".encode())
        await terminal.write(b"sleep 777 & kill -STOP $!; echo $! > stopped\n")
        pids.extend([await asyncio.to_thread(pid_in, path) for path in started])

    assert on_terminal(run, test) in CLOSED
    assert [pid for pid in pids if is_running(pid)] == []


def test_it_ends_with_its_run(run: Run, tmp_path: Path, supervisor: subprocess.Popen[bytes]) -> None:
    pids: list[int] = []

    async def test(terminal: Terminal) -> None:
        await terminal.write(f"{RUNAWAY}; echo said\n".encode())
        pids.append(await asyncio.to_thread(pid_in, tmp_path / "work" / "runaway"))
        supervisor.kill()
        assert "said" in await shown(terminal)

    assert on_terminal(run, test) == "run"
    assert not is_running(pids[0])


def test_it_ends_with_the_process_that_opened_it(run: Run, tmp_path: Path) -> None:
    """As when the web process is killed."""
    code = (
        "import sys, time, django; django.setup()\n"
        "from training.execution.terminal import open_terminal\n"
        "from training.models import Run\n"
        "terminal = open_terminal(Run(pk=sys.argv[1]), 0)\n"
        "import os; os.write(terminal._descriptor, sys.argv[2].encode() + b'\\n')\n"
        "time.sleep(600)\n"
    )
    env = {**os.environ, "MLSERVER_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    env.pop("PYTEST_XDIST_WORKER", None)  # whose home is another
    with subprocess.Popen([sys.executable, "-c", code, run.pk, RUNAWAY], env=env) as opener:
        pid = pid_in(tmp_path / "work" / "runaway")
        assert is_running(pid)
        opener.kill()
    until(lambda: not is_running(pid), what="the end of what the shell started")


def test_its_keeper_is_in_a_session_of_its_own_and_shows_no_environment(run: Run) -> None:
    async def test(terminal: Terminal) -> None:
        pid = terminal._keeper.pid
        assert os.getsid(pid) == pid
        until(lambda: run.pk.encode() in Path(f"/proc/{pid}/cmdline").read_bytes(), what="its name")
        assert b"42" not in Path(f"/proc/{pid}/environ").read_bytes()

    on_terminal(run, test)


def test_a_shell_that_cannot_start_says_why(run: Run, tmp_path: Path) -> None:
    (tmp_path / "work").rmdir()

    async def test(terminal: Terminal) -> None:
        assert f"cannot start: working directory {tmp_path / 'work'}: No such file" in await shown(terminal)

    assert on_terminal(run, test) in CLOSED


def test_what_nobody_reads_waits_outside(run: Run) -> None:
    async def test(terminal: Terminal) -> None:
        await terminal.write(b"stty raw -echo; echo rea''dy; sleep 600\n")
        await shown(terminal, "ready")
        writing = asyncio.create_task(terminal.write(b"x" * 1024**2))
        done, _ = await asyncio.wait([writing], timeout=0.3)
        assert not done
        terminal.hang_up()
        await asyncio.wait_for(writing, 1)
        assert await terminal.read() == b""

    on_terminal(run, test)


def test_a_flood_is_read_in_pieces(run: Run) -> None:
    async def test(terminal: Terminal) -> None:
        await terminal.write(b"yes\n")
        for _ in range(20):
            assert 0 < len(await terminal.read()) < 128 * 1024

    assert on_terminal(run, test) in CLOSED


def test_refuses_a_rank_without_process(run: Run, supervisor: subprocess.Popen[bytes]) -> None:
    with pytest.raises(Conflict):
        open_terminal(run, 1)
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    with pytest.raises(Conflict, match="has no process"):
        open_terminal(run, 0)


def test_everything_is_given_back(run: Run) -> None:
    async def test(terminal: Terminal) -> None:
        await terminal.write(b"exit\n")
        await shown(terminal)

    on_terminal(run, test)
    before = len(list(Path("/proc/self/fd").iterdir()))
    on_terminal(run, test)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
