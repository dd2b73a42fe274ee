"""MLSERVER_JOB_USER: jobs run as another account, which sees its own directory and nothing of the server's."""

import asyncio
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.faults.counting import ended_task, log_of, runs_of, submit
from tests.serving import RunningServer
from tests.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may switch accounts"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    # Not below pytest's own directory, which is closed to other accounts.
    folder = Path(tempfile.mkdtemp(prefix="mlserver-job-user-"))
    folder.chmod(0o755)
    with RunningServer(folder / "home", env={"MLSERVER_JOB_USER": "nobody"}) as running:
        yield running.start()
    shutil.rmtree(folder, ignore_errors=True)


def said(server: RunningServer, command: list[str] | str, **fields: object) -> tuple[str, dict]:  # type: ignore[type-arg]
    task_id = submit(server, command, **fields)["id"]
    ended_task(server, task_id)
    run = runs_of(server, task_id)[0]
    return log_of(server, run["id"]), run


def test_a_job_works_in_its_own_directory(server: RunningServer) -> None:
    log, run = said(server, "id -un; touch here && echo written; pwd")
    assert run["status"] == "finished", run["exit_reason"]
    assert log.split() == ["nobody", "written", run["run_dir"]]


def test_a_program_is_found_on_the_path(server: RunningServer) -> None:
    log, run = said(server, ["id", "-un"], env={"PATH": "/nowhere:/usr/bin:/bin"})
    assert (log.strip(), run["exit_code"]) == ("nobody", 0)


def test_a_program_that_is_missing_is_said(server: RunningServer) -> None:
    _, run = said(server, ["no-such-program"], env={"PATH": "/usr/bin:/bin"})
    assert (run["exit_class"], run["exit_reason"]) == ("launch_failed", "no-such-program: No such file or directory")


def test_it_has_the_environment_of_its_account(server: RunningServer) -> None:
    log, _ = said(server, "echo $HOME $USER $LOGNAME; id -G")
    nobody = pwd.getpwnam("nobody")
    assert log.splitlines()[0] == f"{nobody.pw_dir} nobody nobody"
    assert log.splitlines()[1] == " ".join(map(str, os.getgrouplist("nobody", nobody.pw_gid)))


def test_it_reads_nothing_of_the_server(server: RunningServer) -> None:
    files = "db.sqlite3 db.sqlite3-wal secret_key credentials queue.fifo control/agent.fifo"
    log, _ = said(
        server, f"cd {server.home}; for f in {files}; do test -r $f && echo $f; done; ls . control runs; true"
    )
    assert [line for line in log.splitlines() if "Permission denied" not in line] == []


def test_a_terminal_is_of_that_account_too(server: RunningServer) -> None:
    task_id = submit(server, "sleep 600")["id"]
    (run,) = until(lambda: [row for row in runs_of(server, task_id) if row["status"] == "running"], what="a run")
    url = server.api.post(f"/api/v1/runs/{run['id']}/terminal").json()["url"]

    async def test() -> str:
        said = b""
        async with asyncio.timeout(20), connect(url) as client:
            await client.send("id -un; test -w $(tty) && pwd; cat ../../../../../secret_key; echo d''one\n")
            while b"\r\ndone\r\n" not in said:
                said += await client.recv()  # type: ignore[operator]
        return said.decode()

    said = asyncio.run(test())
    assert f"nobody\r\n{run['run_dir']}\r\n" in said
    assert "secret_key: Permission denied" in said
    server.api.post(f"/api/v1/tasks/{task_id}/stop")
