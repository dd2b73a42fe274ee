"""What holds for real processes: killed, forked, several at once, on a full disk."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.clients.scripts import ended, records, run_dir, run_script, said, start
from tests.waiting import until

pytestmark = pytest.mark.process

RUN_ID = "20260102_030405_0a1b2c"


def test_a_killed_process_loses_nothing_that_it_logged(tmp_path: Path) -> None:
    """Each call is told to the parent after it returned; all that was told is in the file."""
    process = start(
        tmp_path,
        """
        run = rn.init(capture_env=False)
        for n in range(10**9):
            rn.log({"n": n})
            os.write(1, b"%d\\n" % n)
        """,
    )
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(5000)]
    process.kill()
    last = int([*told, *process.stdout.readlines()][-1])
    status, _, _ = ended(process)
    lines = (run_dir(tmp_path) / "events.jsonl").read_text().splitlines(keepends=True)
    # The kill may tear the line that was being written then; nobody was told of that one.
    numbers = [json.loads(line)["data"]["n"] for line in lines if line.endswith("\n")]
    assert status == -signal.SIGKILL
    assert numbers[: last + 1] == list(range(last + 1))
    assert len(numbers) - last <= 2


def test_a_forked_child_goes_on_with_a_descriptor_of_its_own(tmp_path: Path) -> None:
    status, out, err = run_script(
        tmp_path,
        """
        import threading
        run = rn.init(capture_env=False)
        parents = run._events._descriptor
        busy = threading.Thread(target=lambda: [run.log(side=n) for n in range(20000)])
        busy.start()
        for _ in range(20):
            child = os.fork()
            if child == 0:
                os.close(parents) if run._events._descriptor != parents else None
                rn.log(child=os.getpid())
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        busy.join()
        rn.log(parent=1)
        """,
    )
    assert (status, err) == (0, "")
    data = [record["data"] for record in records(run_dir(tmp_path))]
    assert len({row["child"] for row in data if "child" in row}) == 20
    assert [row["side"] for row in data if "side" in row] == list(range(20000))
    assert data[-1]["parent"] == 1


def test_two_ranks_may_write_one_run(tmp_path: Path) -> None:
    script = f"""
    rank = int(sys.argv[1])
    run = rn.init(run_id="{RUN_ID}", capture_env=False)
    run.summary({{"of rank %d" % rank: rank}})
    for n in range(5000):
        run.log({{"rank": rank, "n": n, "padding": "x" * 200}})
    """
    ranks = [start(tmp_path, script, str(rank)) for rank in range(2)]
    assert [ended(rank)[0] for rank in ranks] == [0, 0]
    data = [record["data"] for record in records(run_dir(tmp_path))]
    for rank in range(2):
        assert [row["n"] for row in data if row["rank"] == rank] == list(range(5000))
    assert said(run_dir(tmp_path), "summary.json") == {"of rank 0": 0, "of rank 1": 1}


def test_threads_share_a_run(tmp_path: Path) -> None:
    status, _, err = run_script(
        tmp_path,
        """
        from concurrent.futures import ThreadPoolExecutor
        run = rn.init(capture_env=False)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda t: [run.log(t=t, n=n) for n in range(1000)], range(8)))
        """,
    )
    assert (status, err) == (0, "")
    data = [record["data"] for record in records(run_dir(tmp_path))]
    assert sorted(row["global_step"] for row in data) == list(range(1, 8001))


def test_a_full_disk_stops_no_training_and_spoils_one_line_at_most(tmp_path: Path) -> None:
    """A limit of the file's size ends a write within a line, as a full disk does; then there is room again."""
    status, _, err = run_script(
        tmp_path,
        """
        import resource
        run = rn.init(capture_env=False)
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, unlimited[1]))
        for n in range(1000):
            run.log(before=n)
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        for n in range(100):
            run.log(after=n)
        """,
    )
    assert status == 0
    assert err.count("records are lost") == 1
    lines = (run_dir(tmp_path) / "events.jsonl").read_bytes().splitlines()
    kept = [line for line in lines if line.endswith(b"}}")]
    assert len(lines) - len(kept) <= 1
    assert sum(b'"after"' in line for line in kept) == 100
    assert sum(b'"before"' in line for line in kept) > 50


@pytest.mark.parametrize(
    ("last_line", "status", "reason"),
    [
        ("pass", "finished", None),
        ("run.finish('interrupted')", "interrupted", None),
        ("raise RuntimeError('no batch')", "failed", "RuntimeError: no batch"),
        ("raise KeyboardInterrupt", "interrupted", "KeyboardInterrupt: "),
    ],
)
def test_the_end_of_the_script_ends_the_run(last_line: str, status: str, reason: str | None, tmp_path: Path) -> None:
    run_script(tmp_path, f"run = rn.init(capture_env=False)\n{last_line}\n")
    found = said(run_dir(tmp_path), "status.json")
    assert (found["status"], found["exit_reason"]) == (status, reason)


def test_a_forked_child_that_exits_does_not_end_the_run(tmp_path: Path) -> None:
    process = start(
        tmp_path,
        """
        run = rn.init(capture_env=False)
        if os.fork() == 0:
            sys.exit(0)
        os.wait()
        print("child is gone", flush=True)
        time.sleep(60)
        """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "child is gone\n"
    assert said(run_dir(tmp_path), "status.json")["status"] == "running"
    process.kill()
    assert ended(process)[0] == -signal.SIGKILL


def test_the_handler_of_a_signal_may_log(tmp_path: Path) -> None:
    status, _, err = run_script(
        tmp_path,
        """
        import signal
        run = rn.init(capture_env=False)
        signal.signal(signal.SIGALRM, lambda *_: run.log(handler=1))
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        for n in range(50_000):
            run.log(n=n)
        signal.setitimer(signal.ITIMER_REAL, 0)
        """,
    )
    assert (status, err) == (0, "")
    data = [record["data"] for record in records(run_dir(tmp_path))]
    assert [row["n"] for row in data if "n" in row] == list(range(50_000))
    assert sum("handler" in row for row in data) > 10


def test_it_survives_a_program_that_closes_all_descriptors(tmp_path: Path) -> None:
    status, _, _ = run_script(
        tmp_path,
        """
        run = rn.init(capture_env=False)
        run.log(n=0)
        os.closerange(3, 100)
        run.log(n=1)
        run.log(n=2)
        """,
    )
    assert status == 0
    assert [record["data"]["n"] for record in records(run_dir(tmp_path))] == [0, 2]


def test_it_records_the_environment(tmp_path: Path) -> None:
    for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -q -m first --allow-empty"):
        assert os.system(f"git -C {tmp_path} {command}") == 0
    (tmp_path / "train.py").write_text("")
    assert os.system(f"git -C {tmp_path} add train.py") == 0
    status, out, err = run_script(tmp_path, "import time\nt = time.time()\nrn.init()\nprint(time.time() - t)\n")
    assert (status, err) == (0, "")
    found = said(run_dir(tmp_path), "environment.json")
    assert found["command"]["argv"] == [str(tmp_path / "train.py")]
    assert found["python"]["version"].startswith("3.")
    assert found["packages"]["pytest"]
    assert len(found["git"]["commit"]) == 40
    assert "+rn.init()" in found["git"]["diff"]
    assert found["host"]["cpus"] >= 1
    assert float(out) < 0.25  # 3 ms alone; the machine is shared


def test_the_environment_holds_no_secrets(tmp_path: Path) -> None:
    env = {"TORCH_HOME": "/t", "MY_TOKEN": "s3cret", "SLURM_JWT_KEY": "s3cret", "MLSERVER_API_KEY": "s3cret"}
    run_script(tmp_path, "rn.init()\n", env=env)
    path = run_dir(tmp_path) / "environment.json"
    until(path.exists, what="the environment was written")
    assert "s3cret" not in path.read_text()
    assert said(run_dir(tmp_path), "environment.json")["variables"] == {"TORCH_HOME": "/t"}
