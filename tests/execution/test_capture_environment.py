"""The capture of a job's environment by real supervisors: whose context it has, and that it is no part of the job."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.execution.supervised import Supervised, is_running
from tests.waiting import until
from training.execution.supervision import environment as module

pytestmark = pytest.mark.process
CLIENT = Path(__file__).parents[2] / "clients" / "python"
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def supervised(
    root: Path, command: list[str] | str, *, after_s: float = 0.2, client: Path = CLIENT, **spec: Any
) -> Supervised:
    wanted = {"path": str(root / "run" / "environment.json"), "client": str(client), "after_s": after_s}
    return Supervised(root, command, **{"environment": wanted, "env": {"PATH": PATH}, **spec})


def make_repository(directory: Path) -> None:
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "--allow-empty", "-m", "x"]):
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", "-C", str(directory), *who, *command], check=True)


def captured(job: Supervised) -> dict[str, Any]:
    path = job.run_dir / "environment.json"
    until(path.exists, within_s=30, what="the environment is written")
    job.stop()
    job.ended()
    return json.loads(path.read_text())


def test_it_is_that_of_the_python_that_runs_below_the_shell(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text("import time\ntime.sleep(60)\n")
    make_repository(code)
    (code / "train.py").write_text("import time\ntime.sleep(61)\n")
    job = supervised(tmp_path, f"export OMP_NUM_THREADS=3; cd {code} && {sys.executable} train.py --lr 1; true").start()
    facts = captured(job)
    assert facts["command"]["argv"] == [sys.executable, "train.py", "--lr", "1"]
    assert facts["command"]["cwd"] == str(code)
    assert Path(facts["command"]["executable"]).samefile(sys.executable)
    assert facts["variables"]["OMP_NUM_THREADS"] == "3"
    assert "numpy" in facts["packages"], "those of its virtual environment"
    assert facts["git"]["is_dirty"] and "+time.sleep(61)" in facts["git"]["diff"]


def test_of_a_job_without_python_it_is_that_of_the_python3_on_its_path(tmp_path: Path) -> None:
    facts = captured(supervised(tmp_path, ["sleep", "60"]).start())
    assert facts["command"]["argv"] == ["sleep", "60"]
    assert Path(facts["command"]["executable"]).samefile(sys.executable)


def test_a_repository_around_the_run_directories_is_not_the_jobs(tmp_path: Path) -> None:
    make_repository(tmp_path)
    assert captured(supervised(tmp_path, ["sleep", "60"]).start())["git"] is None


def test_nothing_of_the_working_directory_is_imported(tmp_path: Path) -> None:
    job = supervised(tmp_path, [sys.executable, "-c", "import time; time.sleep(60)"])
    for name in ("json", "platform", "socket", "mlserver_client"):
        (job.run_dir / f"{name}.py").write_text("open('touched', 'w')\n")
    facts = captured(job.start())
    assert facts["command"]["argv"][1] == "-c"
    assert not (job.run_dir / "touched").exists()


def test_what_the_script_wrote_stays(tmp_path: Path) -> None:
    job = supervised(tmp_path, "echo '{}' > environment.json; sleep 1.5").start()
    job.ended()
    assert (job.run_dir / "environment.json").read_text() == "{}\n"


def test_a_command_that_ends_before_is_not_captured(tmp_path: Path) -> None:
    job = supervised(tmp_path, ["true"], after_s=5).start()
    record = job.ended(within_s=4)
    assert (record["exit_code"], record["leftovers"]) == (0, 0)
    assert not (job.run_dir / "environment.json").exists()


def slow_client(root: Path) -> Path:
    """A client whose capture does not end, and has started something."""
    package = root / "slow" / "mlserver_client"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "capture.py").write_text(
        "import os, subprocess, time\n"
        "def main():\n"
        "    child = subprocess.Popen(['sleep', '60'])\n"
        f"    open({str(root / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{child.pid}} {{os.nice(0)}}\\n')\n"
        "    time.sleep(60)\n"
    )
    return package.parent


def test_it_ends_with_the_command_and_is_none_of_its_leftovers(tmp_path: Path) -> None:
    """Neither does it keep the command from ending, nor count as a process that it left behind."""
    wait = f"while ! test -s {tmp_path / 'pids'}; do sleep 0.05; done; exit 3"
    job = supervised(tmp_path, wait, client=slow_client(tmp_path)).start()
    record = job.ended(within_s=20)
    assert (record["exit_code"], record["leftovers"], record["was_killed"]) == (3, 0, False)
    capture, child, priority = map(int, (tmp_path / "pids").read_text().split())
    assert priority == 19
    until(lambda: not is_running(capture) and not is_running(child), what="both are gone")


def test_it_is_ended_when_it_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT_S", 0.0)
    capture = module.EnvironmentCapture({"environment": {"path": "/no/such", "after_s": 0}, "user": None})
    monkeypatch.setattr(module, "become_capture", lambda *_: os.execvp("sleep", ["sleep", "60"]))
    assert capture.look(os.getpid()) is not None
    assert capture.look(os.getpid()) is None
    _, status = os.waitpid(capture.pid, 0)
    assert os.WTERMSIG(status) == 9


def test_a_stop_ends_it_too(tmp_path: Path) -> None:
    job = supervised(tmp_path, ["sleep", "60"], client=slow_client(tmp_path)).start()
    until((tmp_path / "pids").exists, within_s=20, what="it is under way")
    job.stop()
    record = job.ended(within_s=10)
    assert (record["stop_reason"], record["leftovers"]) == ("stopped", 0)


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/usr/bin/python3").exists(), reason="needs root and a python3 for all"
)
def test_it_has_the_account_of_the_job() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o711)
        client = shutil.copytree(CLIENT, root / "sdk")
        user = {"uid": 65534, "gid": 65534, "groups": []}
        job = supervised(root, ["sleep", "60"], client=client, user=user, env={"PATH": "/usr/bin:/bin"})
        job.run_dir.chmod(0o777)
        job.start()
        facts = captured(job)
        owner = (job.run_dir / "environment.json").stat()
    assert (owner.st_uid, stat.S_IMODE(owner.st_mode)) == (65534, 0o644)
    assert facts["command"]["argv"] == ["sleep", "60"]
