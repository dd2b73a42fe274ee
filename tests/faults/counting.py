"""Jobs that count aloud, and the proof that nothing of it was lost or said twice."""

import sys
from typing import Any

from tests.serving import RunningServer, all_pids, read
from tests.waiting import until

COUNT = """
import sys, time
for number in range(int(sys.argv[1])):
    print(number, flush=True)
    time.sleep(0.05)
sys.exit(int(sys.argv[2]))
"""


def submit(server: RunningServer, command: list[str] | str, **fields: Any) -> dict[str, Any]:
    answer = server.api.post("/api/v1/tasks", json={"command": command, **fields})
    assert answer.status_code == 201, answer.text
    task: dict[str, Any] = answer.json()
    return task


def submit_counter(server: RunningServer, *, numbers: int, exit_code: int, **fields: Any) -> int:
    """Task id of a job that prints 0..numbers-1, one every 50 ms, and ends with `exit_code`."""
    task_id: int = submit(server, [sys.executable, "-c", COUNT, str(numbers), str(exit_code)], **fields)["id"]
    return task_id


def get(server: RunningServer, path: str) -> dict[str, Any]:
    answer = server.api.get(path)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def runs_of(server: RunningServer, task_id: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = get(server, f"/api/v1/runs?task={task_id}")["results"]
    return rows


def ended_task(server: RunningServer, task_id: int, *, within_s: float = 60) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        task = get(server, f"/api/v1/tasks/{task_id}")
        return task if task["status"] in ("completed", "failed", "stopped") else None

    return until(look, within_s=within_s, what=f"task {task_id} ended")


def running_task(server: RunningServer, task_id: int) -> dict[str, Any]:
    """The newest run of the task, once its command runs."""

    def look() -> dict[str, Any] | None:
        runs = runs_of(server, task_id)
        return runs[0] if runs and runs[0]["status"] == "running" else None

    return until(look, within_s=20, what=f"task {task_id} is running")


def log_of(server: RunningServer, run_id: str) -> str:
    answer = server.api.get(f"/api/v1/runs/{run_id}/logs?tail=10000&format=text")
    assert answer.status_code == 200, answer.text
    return answer.text


def assert_ended_once(server: RunningServer, task_id: int, *, numbers: int, exit_code: int) -> None:
    """One run, the right exit code, a log without gap or double, one ending event, no lease held."""
    task = ended_task(server, task_id)
    assert task["status"] == ("completed" if exit_code == 0 else "failed")
    (run,) = runs_of(server, task_id)
    assert run["exit_code"] == exit_code
    assert log_of(server, run["id"]).split() == [str(number) for number in range(numbers)]
    events = get(server, f"/api/v1/events?task={task_id}&page_size=100")["results"]
    endings = [event for event in events if event["run"] == run["id"] and event["reason"] in ("Finished", "Failed")]
    assert len(endings) == 1
    assert get(server, f"/api/v1/leases?run={run['id']}&active=true")["results"] == []


def processes_of(run_id: str) -> list[int]:
    """Live processes that belong to a run by their environment."""
    mark = f"MLSERVER_RUN_ID={run_id}".encode()
    return [pid for pid in all_pids() if mark in read(pid, "environ").split(b"\0")]
