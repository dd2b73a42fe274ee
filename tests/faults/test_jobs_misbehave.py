"""Jobs that do what they should not, through the real door; the server handles, says and contains each."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.counting import ended_task, get, log_of, processes_of, running_task, runs_of, submit
from tests.serving import RunningServer, read
from tests.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.alone, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home: Path = tmp_path_factory.mktemp("misbehave") / "home"
    env = {"MLSERVER_CPU_SLOTS": "4", "MLSERVER_LOG_LIMIT_MIB": "64", "MLSERVER_SIMULATED_GPUS": "1x24576"}
    with RunningServer(home, env=env) as running:
        yield running.start()


def events_of(server: RunningServer, task_id: int) -> dict[str, str]:
    return {event["reason"]: event["message"] for event in get(server, f"/api/v1/events?task={task_id}")["results"]}


def ended_run(server: RunningServer, task_id: int, *, within_s: float = 60) -> dict:  # type: ignore[type-arg]
    ended_task(server, task_id, within_s=within_s)
    return runs_of(server, task_id)[0]


def test_a_missing_program_is_launch_failed_with_the_reason_in_log_and_event(server: RunningServer) -> None:
    task_id = submit(server, ["no-such-program", "--lr", "0.1"])["id"]
    run = ended_run(server, task_id)
    assert (run["status"], run["exit_class"]) == ("failed", "launch_failed")
    assert run["exit_reason"] == "no-such-program: No such file or directory"
    assert "no-such-program: No such file or directory" in log_of(server, run["id"])
    assert "no-such-program: No such file or directory" in events_of(server, task_id).values()


def test_a_missing_directory_is_launch_failed(server: RunningServer) -> None:
    run = ended_run(server, submit(server, ["pwd"], cwd="/no/such/place")["id"])
    assert run["exit_class"] == "launch_failed"
    assert run["exit_reason"] == "working directory /no/such/place: No such file or directory"


def test_a_program_without_permission_is_launch_failed(server: RunningServer) -> None:
    run = ended_run(server, submit(server, ["/etc/passwd"])["id"])
    assert run["exit_class"] == "launch_failed"
    assert run["exit_reason"] == "/etc/passwd: Permission denied"


def test_a_job_that_deletes_its_directory_keeps_its_log(server: RunningServer) -> None:
    task_id = submit(server, 'echo before; rm -rf "$MLSERVER_RUN_DIR"; cd /; sleep 0.3; echo after')["id"]
    run = ended_run(server, task_id)
    assert run["status"] == "finished"
    assert log_of(server, run["id"]).split() == ["before", "after"]
    assert "put back" in events_of(server, task_id)["LogRestored"]


def test_a_flood_of_a_gigabyte_is_cut_at_the_limit_and_disturbs_nobody(server: RunningServer) -> None:
    task_id = submit(server, "head -c 1073741824 /dev/zero | tr '\\0' x; exit 9")["id"]
    slowest = 0.0
    while get(server, f"/api/v1/tasks/{task_id}")["status"] not in ("completed", "failed"):
        asked = time.monotonic()
        assert server.api.get("/health").status_code == 200
        slowest = max(slowest, time.monotonic() - asked)
    run = ended_run(server, task_id)
    assert run["exit_code"] == 9
    log = Path(run["run_dir"]) / "logs.txt"
    assert 64 * 1024**2 <= log.stat().st_size < 65 * 1024**2
    assert "the log reached its limit" in events_of(server, task_id)["LogLimit"]
    assert slowest < 2


def test_a_job_that_forks_wildly_is_ended_whole(server: RunningServer) -> None:
    bomb = "import os, time\nfor _ in range(6): os.fork()\nwhile True:\n  if os.fork() == 0: time.sleep(0.02); os._exit(0)\n  os.waitpid(-1, os.WNOHANG)\n"  # noqa: E501
    task_id = submit(server, [sys.executable, "-c", bomb], grace_s=0.5)["id"]
    run = running_task(server, task_id)
    assert server.api.post(f"/api/v1/tasks/{task_id}/stop").status_code in (200, 202)
    assert ended_run(server, task_id, within_s=60)["status"] == "stopped"
    until(lambda: processes_of(run["id"]) == [], what="all its processes are gone")


def test_a_job_that_ignores_term_is_killed_after_its_grace(server: RunningServer) -> None:
    task_id = submit(server, "trap '' TERM; echo ready; while :; do sleep 0.05; done", grace_s=0.5)["id"]
    run = running_task(server, task_id)
    until(lambda: "ready" in log_of(server, run["id"]))
    server.api.post(f"/api/v1/tasks/{task_id}/stop")
    run = ended_run(server, task_id)
    assert (run["status"], run["exit_class"]) == ("stopped", "stopped")
    assert "after its grace was over" in run["exit_reason"]


def test_a_job_that_closes_its_output_is_watched_to_its_end(server: RunningServer) -> None:
    run = ended_run(server, submit(server, "exec >&- 2>&-; sleep 0.3; exit 4")["id"])
    assert (run["exit_code"], run["exit_class"]) == (4, "error")


def test_a_daemon_left_behind_is_ended_and_said(server: RunningServer) -> None:
    task_id = submit(server, "setsid sleep 600 & echo done", grace_s=1)["id"]
    run = ended_run(server, task_id)
    assert run["status"] == "finished"
    assert processes_of(run["id"]) == []
    assert "outlived the command" in events_of(server, task_id)["LeftoversEnded"]


def test_a_time_limit_is_kept(server: RunningServer) -> None:
    run = ended_run(server, submit(server, ["sleep", "600"], time_limit_s=0.5, grace_s=1)["id"])
    assert (run["status"], run["exit_class"]) == ("failed", "timeout")


def test_cuda_out_of_memory_in_the_last_lines_is_oom(server: RunningServer) -> None:
    said = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB."
    run = ended_run(server, submit(server, f"echo '{said}' >&2; exit 1")["id"])
    assert run["exit_class"] == "oom"
    assert said in run["exit_reason"]


def test_memory_beyond_its_own_limit_is_oom(server: RunningServer) -> None:
    if os.geteuid() != 0:
        pytest.skip("a control group with a memory limit needs root")
    hog = "x = []\nwhile True: x.append(bytearray(2**20))"
    run = ended_run(server, submit(server, [sys.executable, "-c", hog], memory_mib=100)["id"])
    assert (run["exit_class"], run["exit_signal"]) == ("oom", 9)


def test_the_environment_holds_no_secret_of_the_server(server: RunningServer) -> None:
    run = ended_run(server, submit(server, ["env"], env={"MINE": "yes"})["id"])
    lines = log_of(server, run["id"]).splitlines()
    names = {line.partition("=")[0] for line in lines}
    assert {"MINE", "PATH", "MLSERVER_RUN_ID", "PYTHONUNBUFFERED", "RUNICORN_DIR"} <= names
    assert not names & {"API_KEYS", "MLSERVER_HOME", "DATABASE_URL", "Q_REDIS_URL", "DJANGO_SETTINGS_MODULE"}
    assert server.key not in "\n".join(lines)
    assert "CUDA_VISIBLE_DEVICES=" in lines  # no GPU was leased, so none is visible


def test_an_outsiders_gpu_is_left_alone_until_it_is_free(server: RunningServer) -> None:
    script = server.home / "simulated_gpus.json"
    script.write_text('{"0": {"processes": [{"pid": 1, "used_memory_mib": 9000}]}}')
    gpu = get(server, "/api/v1/gpus")["results"][0]["id"]
    until(lambda: not get(server, f"/api/v1/gpus/{gpu}")["is_schedulable"])
    task_id = submit(server, ["env"], gpus=1)["id"]
    assert "outside this server" in get(server, f"/api/v1/tasks/{task_id}")["waiting_reason"]
    script.unlink()
    run = ended_run(server, task_id, within_s=20)
    assert "CUDA_VISIBLE_DEVICES=GPU-simulated-0" in log_of(server, run["id"]).splitlines()


def test_repeats_run_side_by_side_where_there_is_room(server: RunningServer) -> None:
    task_id = submit(server, ["sleep", "1"], repeat=4)["id"]
    until(lambda: len([run for run in runs_of(server, task_id) if run["status"] == "running"]) == 4)
    assert ended_task(server, task_id)["runs_completed"] == 4


def test_supervisors_stay_small_whatever_a_job_says(server: RunningServer) -> None:
    task_id = submit(server, "head -c 50000000 /dev/urandom; sleep 600", grace_s=0.5)["id"]
    run = running_task(server, task_id)
    log = Path(run["run_dir"]) / "logs.txt"
    until(lambda: log.stat().st_size >= 50_000_000, within_s=30)
    supervisor = get(server, f"/api/v1/processes?run={run['id']}")["results"][0]["supervisor_pid"]
    rss_kib = int(read(supervisor, "status").split(b"VmRSS:")[1].split()[0])
    server.api.post(f"/api/v1/tasks/{task_id}/stop")
    ended_task(server, task_id)
    assert rss_kib <= 12 * 1024
