"""The client under the server's home, and on the path of jobs."""

import json
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.execution.placed import exit_of, log_of, placed
from training import paths
from training.execution.environment import job_environment
from training.execution.launch import launch
from training.execution.sdk import files_of, install_sdk, source

pytestmark = pytest.mark.django_db

LOGGING = [
    sys.executable,
    "-c",
    "import mlserver_client as rn; run = rn.init(project='else'); rn.log(loss=0.5); rn.log_text('said'); print(run.id)",
]


def installed() -> Path:
    return paths.sdk_root() / "mlserver_client"


def test_it_installs_the_package_and_nothing_else(home: Path) -> None:
    install_sdk()
    assert files_of(installed()) == files_of(source())
    assert [path.name for path in paths.sdk_root().iterdir()] == ["mlserver_client"]
    assert (installed() / "run.py").read_bytes() == (source() / "run.py").read_bytes()
    assert {path.stat().st_mode & 0o777 for path in installed().rglob("*.py")} == {0o644}


def test_it_renews_what_differs_and_removes_what_is_gone(home: Path) -> None:
    install_sdk()
    (installed() / "run.py").write_text("old")
    (installed() / "gone.py").write_text("old")
    same = (installed() / "place.py").stat().st_ino
    install_sdk()
    assert files_of(installed()) == files_of(source())
    assert (installed() / "run.py").read_bytes() == (source() / "run.py").read_bytes()
    assert (installed() / "place.py").stat().st_ino == same


def test_it_says_why_it_cannot(home: Path) -> None:
    paths.sdk_root().write_text("in the way")
    with pytest.raises(ImproperlyConfigured, match="sdk"):
        install_sdk()


@pytest.mark.parametrize(("own", "before"), [({}, ""), ({"PYTHONPATH": ""}, ""), ({"PYTHONPATH": "/a:/b"}, "/a:/b:")])
def test_it_comes_after_the_path_of_the_task(own: dict[str, str], before: str, home: Path, tmp_path: Path) -> None:
    run = placed(env=own)
    assert job_environment(run, run.task, tmp_path)["PYTHONPATH"] == f"{before}{paths.sdk_root()}"


@pytest.mark.process
def test_a_job_logs_into_the_run_of_its_task(engine: Path) -> None:
    install_sdk()
    run = placed(LOGGING, project="digits", name="first")
    launch(run.pk)
    assert exit_of(run)["exit_code"] == 0, log_of(run)
    (record,) = [json.loads(line) for line in (run.directory / "events.jsonl").read_text().splitlines()]
    assert (record["type"], record["data"]["loss"]) == ("metrics", 0.5)
    text, run_id = log_of(run).splitlines()
    assert (text[8:], run_id) == (" | said", run.pk)
    assert json.loads((run.directory / "meta.json").read_text())["project"] == "digits"
