"""Delivery of a run to a server while its training goes on, over real HTTP."""

import math
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.clients.scripts import ended, environment, run_client, run_dir, run_script, said, start
from tests.clients.server import TrackingServer
from tests.waiting import until

pytestmark = pytest.mark.process

LOGS_100 = """
run = rn.init(project="digits", name="first")
for n in range(100):
    rn.log({"n": n})
rn.log_text("hello")
"""
# Says each number when it is logged and goes on when it is told to.
ON_DEMAND = """
run = rn.init(capture_env=False)
for line in sys.stdin:
    rn.log({"n": int(line)})
    print(line, end="", flush=True)
"""


def test_everything_arrives(server: TrackingServer, tmp_path: Path) -> None:
    status, _, err = run_script(
        tmp_path,
        f"""{LOGS_100}
run.log(bad=float("nan"), worse=float("-inf"))
run.set_primary_metric("n")
run.log(n=7)
run.summary({{"score": float("inf"), "kind": "cnn"}})
run.log_image("cat", b"not really a picture", caption="ü")
        """,
        env=server.env,
    )
    assert (status, err) == (0, "")
    run = server.run()
    assert run.values("n") == [*range(100), 7]
    assert math.isnan(run.values("bad")[0])
    assert run.values("worse") == [-math.inf]
    assert run.log.endswith(b" | hello\n")
    assert run.summary is not None
    assert (run.summary["score"], run.summary["kind"], run.summary["best_metric_value"]) == (None, "cnn", 7)
    assert list(run.media.values()) == [b"not really a picture"]
    assert run.finished_with is not None
    assert run.finished_with["status"] == "finished"
    begun = run.begun_with
    meta = said(run_dir(tmp_path), "meta.json")
    assert {name: begun[name] for name in ("id", "project", "name", "pid", "start_ticks", "boot_id")} == {
        name: meta[name] for name in ("id", "project", "name", "pid", "start_ticks", "boot_id")
    }
    assert begun["host"] == meta["hostname"]
    assert run.environment is not None
    assert run.environment["packages"]["pytest"]


@pytest.mark.parametrize("status", [500, 503, 429, 502])
def test_a_server_that_fails_gets_it_later_and_once(status: int, server: TrackingServer, tmp_path: Path) -> None:
    server.failures = [status]
    server.after_taking = [status]
    assert run_script(tmp_path, LOGS_100, env=server.env)[0] == 0
    assert server.run().values("n") == list(range(100))
    assert server.run().finished_with


def test_lost_answers_double_nothing(server: TrackingServer, tmp_path: Path) -> None:
    """Each request is carried out and answered 500 the first time."""
    process = start(tmp_path, LOGS_100, env=server.env)
    server.after_taking = [500, 500, 500]
    assert ended(process)[0] == 0
    assert server.run().values("n") == list(range(100))
    assert server.run().log.count(b"hello") == 1


def test_a_slow_server_does_not_slow_the_training(server: TrackingServer, tmp_path: Path) -> None:
    server.slow_s = 2
    status, out, _ = run_script(
        tmp_path,
        """
        run = rn.init(capture_env=False)
        begun = time.perf_counter()
        for n in range(2000):
            rn.log({"n": n})
        run.finish()
        print(time.perf_counter() - begun)
        """,
        env=server.env,
    )
    assert (status, float(out) < 1.8) == (0, True)
    assert server.run().values("n") == list(range(2000))


def test_a_server_may_go_and_come_back(server: TrackingServer, tmp_path: Path) -> None:
    with Talking(tmp_path, server.env) as script:
        script.log(0, 1, 2)
        until(lambda: server.runs and server.run().values("n") == [0, 1, 2], what="the first arrived")
        server.stop()
        script.log(3, 4, 5)
        server.start()
        until(lambda: server.run().values("n") == [0, 1, 2, 3, 4, 5], within_s=30, what="the rest arrived")
        script.log(6)
    assert server.run().values("n") == list(range(7))
    assert server.run().finished_with


class Talking:
    """A script that logs what it is told, and ends at the end of the block."""

    def __init__(self, folder: Path, env: dict[str, str], script: str = ON_DEMAND) -> None:
        (folder / "train.py").write_text("import sys\nimport mlserver_client as rn\n" + textwrap.dedent(script))
        self.process = subprocess.Popen(
            [sys.executable, "-u", "train.py"], cwd=folder, env=environment(env), text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def log(self, *numbers: int) -> None:
        assert self.process.stdin
        assert self.process.stdout
        for number in numbers:
            self.process.stdin.write(f"{number}\n")
            assert self.process.stdout.readline() == f"{number}\n"

    def __enter__(self) -> "Talking":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate(timeout=60)


def test_what_is_left_at_the_end_is_said_and_delivered_later(server: TrackingServer, tmp_path: Path) -> None:
    server.stop()
    begun = time.monotonic()
    status, _, err = run_script(tmp_path, LOGS_100, env=server.env | {"MLSERVER_FLUSH_S": "0.3"})
    assert status == 0
    assert time.monotonic() - begun < 8
    directory = run_dir(tmp_path)
    assert f"python -m mlserver_client sync {directory}" in err
    assert "bytes of metrics" in err
    status, _, err = run_client(tmp_path, "sync", str(directory), "--within-s", "0", env=server.env)
    assert (status, "not delivered" in err) == (1, True)
    server.start()
    for _ in range(2):  # a second time changes nothing
        status, out, _ = run_client(tmp_path, "sync", ".runicorn", env=server.env)
        assert (status, out) == (0, f"{directory.name}: delivered\n")
        assert server.run().values("n") == list(range(100))
    assert server.run().finished_with
    assert "pid" not in server.run().begun_with


def test_a_killed_run_is_delivered_as_failed(server: TrackingServer, tmp_path: Path) -> None:
    script = Talking(tmp_path, server.env)
    script.log(*range(10))
    until(lambda: server.runs and len(server.run().values("n")) >= 1, what="delivery began")
    script.log(*range(10, 20))
    script.process.send_signal(signal.SIGKILL)
    script.process.communicate(timeout=10)
    status, _, err = run_client(tmp_path, "sync", str(run_dir(tmp_path)), env=server.env)
    assert (status, err) == (0, "")
    assert server.run().values("n") == list(range(20))
    assert server.run().finished_with is not None
    assert (server.run().finished_with or {})["reason"] == "process_not_found"


def test_a_sender_killed_at_any_moment_doubles_and_loses_nothing(server: TrackingServer, tmp_path: Path) -> None:
    """The process dies again and again while batches are under way; the run is taken up each time."""
    server.slow_s = 0.01
    script = """
    run = rn.init(run_id="20260102_030405_0a1b2c", capture_env=False)
    base = int(sys.argv[1])
    for n in range(base, base + 100):
        run.log(n=n)
        time.sleep(0.002)
    os.write(1, b"logged")
    time.sleep(float(sys.argv[2]))
    os.kill(os.getpid(), 9)
    """
    for turn in range(6):
        process = start(tmp_path, script, str(turn * 100), str(turn * 0.13), env=server.env)
        ended(process)
    status, _, err = run_client(tmp_path, "sync", ".", env=server.env)
    assert (status, err) == (0, "")
    assert server.run().values("n") == list(range(600))


def test_two_ranks_deliver_each_line_once(server: TrackingServer, tmp_path: Path) -> None:
    script = """
    run = rn.init(run_id="20260102_030405_0a1b2c", capture_env=False)
    for n in range(2000):
        run.log({"rank": int(sys.argv[1]), "n": n})
    """
    ranks = [start(tmp_path, script, str(rank), env=server.env) for rank in range(2)]
    assert [ended(rank)[0] for rank in ranks] == [0, 0]
    run_client(tmp_path, "sync", ".", env=server.env)
    assert sorted(server.run().values("n")) == sorted([*range(2000)] * 2)


def test_a_forked_child_delivers_through_its_parent(server: TrackingServer, tmp_path: Path) -> None:
    script = """
    run = rn.init(capture_env=False)
    run.log(n=0)
    time.sleep(0.3)
    if os.fork() == 0:
        run.log(n=1)
        sys.exit(0)
    os.wait()
    run.log(n=2)
    """
    assert run_script(tmp_path, script, env=server.env)[0] == 0
    assert server.run().values("n") == [0, 1, 2]


def test_a_wrong_key_is_said_once_and_stops_nothing(server: TrackingServer, tmp_path: Path) -> None:
    status, _, err = run_script(tmp_path, LOGS_100, env=server.env | {"MLSERVER_API_KEY": "wrong"})
    assert status == 0
    assert err.count("refuses the run") == 1
    assert "sync" in err
    assert not server.runs


def test_files_only_when_asked(server: TrackingServer, tmp_path: Path) -> None:
    run_script(tmp_path, LOGS_100, env=server.env | {"RUNICORN_DISABLE_MODERN_STORAGE": "1"})
    assert (server.requests, len((run_dir(tmp_path) / "events.jsonl").read_bytes().splitlines())) == ([], 100)


def test_a_quiet_run_says_that_it_is_alive(server: TrackingServer, tmp_path: Path) -> None:
    script = """
    from mlserver_client.delivery import sender
    sender.BEAT_EVERY_S = sender.LOOK_EVERY_S = 0.02
    run = rn.init(capture_env=False)
    run.log(n=1)
    sys.stdin.read()
    """
    with Talking(tmp_path, server.env, script):
        until(lambda: server.runs and server.run().beats > 2, what="heartbeats")
    assert server.run().finished_with


def test_many_runs_of_one_process_all_arrive(server: TrackingServer, tmp_path: Path) -> None:
    script = """
    for n in range(10):
        run = rn.init(project="sweep", capture_env=False)
        run.log(n=n)
        run.finish()
    """
    assert run_script(tmp_path, script, env=server.env)[0] == 0
    assert sorted(run.values("n")[0] for run in server.runs.values()) == list(range(10))
    assert all(run.finished_with for run in server.runs.values())
