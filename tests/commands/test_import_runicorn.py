"""`manage.py import_runicorn`."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.make import make_user
from tests.peer_files import ENDED, RUNNING, PeerRun, metrics
from tests.serving import REPOSITORY, prepare_database, server_environment
from tests.waiting import until
from training.models import ImportedRoot, Run


@pytest.fixture
def root(tmp_path: Path, home: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


def run_command(*arguments: object) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("import_runicorn", *map(str, arguments), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.mark.django_db
def test_it_imports_and_says_what_came_of_it(root: Path) -> None:
    PeerRun(root).say(metrics(1, loss=0.5, acc=0.1))
    (root / "vision" / "resnet" / "runs" / "checkpoints").mkdir()
    out, err = run_command(root)
    assert out == "runs: 1 new, 0 updated, 0 unchanged, 1 refused; 2 points and 3 files taken in\n"
    assert err == f"refused 1: its name is no run id: {root.resolve()}/vision/resnet/runs/checkpoints\n"
    assert run_command(root)[0] == "runs: 0 new, 0 updated, 1 unchanged, 1 refused; 0 points and 0 files taken in\n"


@pytest.mark.django_db
def test_new_runs_belong_to_the_first_administrator_or_to_whom_one_names(root: Path) -> None:
    make_user("carla")
    PeerRun(root)
    run_command(root)
    PeerRun(root, "20260307_091502_aaaaaa")
    run_command(root, "--owner", "carla")
    assert dict(Run.objects.values_list("pk", "owner__username")) == {
        "20260307_091502_4fe0b7": "admin", "20260307_091502_aaaaaa": "carla",
    }  # fmt: skip
    with pytest.raises(CommandError, match="there is no user 'nobody'"):
        run_command(root, "--owner", "nobody")


@pytest.mark.django_db
def test_it_registers_the_root_and_lets_the_server_follow_it(root: Path) -> None:
    (root.parent / "link").symlink_to(root)
    run_command(root.parent / "link")
    assert ImportedRoot.objects.values_list("path", "is_followed").get() == (str(root.resolve()), False)
    assert run_command(root, "--follow")[0].endswith(f"the server follows {root.resolve()} from now on\n")
    assert ImportedRoot.objects.get().is_followed
    assert "follows" not in run_command(root)[0]
    assert ImportedRoot.objects.get().is_followed, "left as it was"
    assert run_command(root, "--no-follow")[0].endswith("no more\n")
    assert not ImportedRoot.objects.get().is_followed


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["missing", "file"])
def test_it_refuses_what_is_no_directory(name: str, root: Path) -> None:
    (root / "file").write_text("")
    with pytest.raises(CommandError, match="is no directory that can be listed"):
        run_command(root / name)
    assert not ImportedRoot.objects.exists()


@pytest.mark.process
def test_it_watches_until_it_is_interrupted(tmp_path: Path) -> None:
    root, home = tmp_path / "root", tmp_path / "home"
    root.mkdir()
    peer = PeerRun(root, status=RUNNING)
    env = server_environment(home)
    prepare_database(home, env)
    command = [sys.executable, "manage.py", "import_runicorn", str(root), "--watch"]
    output = tmp_path / "out"
    with open(output, "wb") as out:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=env, stdout=out, stderr=out)
    try:
        until(lambda: "1 new" in output.read_text(), within_s=60, what="the first import")
        peer.say(metrics(1, loss=0.5))
        until(lambda: "1 updated, 0 unchanged, 0 refused; 1 points" in output.read_text(), what="its growth")
        PeerRun(root, "20260307_091502_aaaaaa", project="other").say(metrics(1, loss=0.5))
        until(lambda: output.read_text().count("1 new") == 2, what="another run")
        peer.write(status=ENDED)
        until(lambda: output.read_text().count("1 updated") >= 2, what="its end")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in output.read_text()


@pytest.mark.process
def test_killed_in_the_middle_it_goes_on_the_next_time(tmp_path: Path) -> None:
    root, home = tmp_path / "root", tmp_path / "home"
    for number in range(150):
        PeerRun(root, f"20260307_091502_{number:06x}").say(*(metrics(step, loss=step) for step in range(20)))
    env = server_environment(home)
    prepare_database(home, env)
    command = [sys.executable, "manage.py", "import_runicorn", str(root)]
    for so_many in (5, 40, 80):
        with subprocess.Popen(command, cwd=REPOSITORY, env=env, stdout=subprocess.DEVNULL) as process:
            until(lambda n=so_many: len(points(home)) > n or process.poll() is not None, within_s=60, what="a part")  # type: ignore[misc]
            process.kill()
    ended = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    assert points(home) == [20] * 150


def points(home: Path) -> list[int]:
    """Of each run that has any."""
    with contextlib.closing(sqlite3.connect(home / "db.sqlite3")) as database:
        return [count for (count,) in database.execute("SELECT count FROM training_series")]
