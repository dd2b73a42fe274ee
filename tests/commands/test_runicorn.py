"""`manage.py runicorn`: Runicorn's own command line on the runs of this server."""

import json
import os
import socket
import subprocess
import sys
import tarfile
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from openpyxl import load_workbook

from mlserver.api.rate_limits import load, rate_limits_file
from mlserver.paths import serve_record
from mlserver.serving.leftovers import write_record
from tests.make import make_run, make_sdk_run
from tests.metrics import log
from tests.peer_files import RUN_ID, PeerRun, metrics
from tests.serving import REPOSITORY, prepare_database, server_environment
from training import paths
from training.execution.identity import ProcessIdentity
from training.management.runicorn import configuration
from training.models import ImportedRoot, Run, RunAlias

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("RUNICORN_DIR", raising=False)
    monkeypatch.chdir(tmp_path)


def runicorn(*arguments: object) -> str:
    out = StringIO()
    call_command("runicorn", *map(str, arguments), stdout=out)
    return out.getvalue()


def refused(*arguments: object) -> tuple[int, str]:
    """Exit status and what was said."""
    with pytest.raises(CommandError) as refusal:
        runicorn(*arguments)
    return refusal.value.returncode, str(refusal.value)


def members(archive: Path) -> set[str]:
    with tarfile.open(archive) as opened:
        return {name.split("/runs/")[1].split("/")[0] for name in opened.getnames()}


def test_it_exports_runs_by_what_they_are(tmp_path: Path) -> None:
    a, b = make_run(project="vision", name="a"), make_run(project="vision", name="b")
    c = make_sdk_run(project="text")
    RunAlias.objects.create(alias=RUN_ID, run=c)
    make_run(deleted_at=timezone.now())
    cases: dict[tuple[str, ...], set[str]] = {
        (): {a.pk, b.pk, c.pk},
        ("--project", "vision"): {a.pk, b.pk},
        ("--project", "vision", "--name", "b"): {b.pk},
        ("--run-id", a.pk, "--run-id", RUN_ID): {a.pk, c.pk},
    }
    for number, (arguments, expected) in enumerate(cases.items()):
        out = tmp_path / "deep" / f"{number}.tar.gz"
        said = runicorn("export", *arguments, "--out", out)
        assert said == f"Exported {len(expected)} run(s) to {out}\n"
        assert members(out) == expected
    assert runicorn("export", "--project", "none") == "No runs matched the given filters. Nothing to export.\n"
    runicorn("export")
    assert len(list(tmp_path.glob("runicorn_export_*.tar.gz"))) == 1


def test_a_storage_root_limits_it_to_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = make_run()
    PeerRun(tmp_path / "root")
    call_command("import_runicorn", str(tmp_path / "root"), stdout=StringIO())
    monkeypatch.setenv("RUNICORN_DIR", str(tmp_path / "root"))
    runicorn("export", "--out", "a.tar.gz")
    runicorn("export", "--storage", paths.runs_root(), "--out", "b.tar.gz")
    assert (members(tmp_path / "a.tar.gz"), members(tmp_path / "b.tar.gz")) == ({RUN_ID}, {ours.pk})


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    make_run()
    (tmp_path / "file").write_text("")
    status, said = refused("export", "--out", tmp_path / "file" / "a.tar.gz")
    assert status == 1 and "cannot be written" in said


@pytest.mark.parametrize("storage", [None, "elsewhere"])
def test_it_imports_an_archive(storage: str | None, tmp_path: Path) -> None:
    peer = PeerRun(tmp_path / "there")
    peer.say(metrics(1, loss=0.5))
    with tarfile.open("a.tar.gz", "w:gz") as archive:
        archive.add(peer.directory, f"vision/resnet/runs/{RUN_ID}")
        archive.add(peer.directory / "meta.json", "README")
    arguments = ["--archive", "a.tar.gz", *(["--storage", storage] if storage else [])]
    root = (tmp_path / storage).resolve() if storage else paths.runs_root()
    said = runicorn("import", *arguments)
    assert said.startswith(f"Imported 3 files into {root}: 1 new runs\n")
    assert "2 members are no files of runs" in said
    run = Run.objects.get(pk=RUN_ID)
    assert (run.owner.username, run.series.get().count, run.directory.is_relative_to(root)) == ("admin", 1, True)
    assert "1 runs are known already" in runicorn("import", *arguments)
    assert Run.objects.count() == 1


def test_of_many_known_runs_five_are_named(tmp_path: Path) -> None:
    peers = [PeerRun(tmp_path / "there", f"20260307_091502_{number:06x}") for number in range(6)]
    with tarfile.open("a.tar.gz", "w:gz") as archive:
        for peer in peers:
            archive.add(peer.directory, f"vision/resnet/runs/{peer.directory.name}")
    runicorn("import", "--archive", "a.tar.gz")
    said = runicorn("import", "--archive", "a.tar.gz").splitlines()[1]
    assert said.startswith("6 runs are known already") and said.count("20260307_") == 5 and said.endswith(", ...")


def test_an_archive_that_is_none_is_refused(tmp_path: Path) -> None:
    assert refused("import", "--archive", "missing.zip") == (1, "Archive not found: missing.zip")
    Path("a.zip").write_bytes(b"garbage")
    status, said = refused("import", "--archive", "a.zip")
    assert status == 1 and said.startswith("a.zip cannot be read")
    with pytest.raises(CommandError, match="--archive"):
        runicorn("import")


@pytest.fixture
def run() -> Run:
    made = make_run(status="finished", project="vision", name="resnet", tags=["old"])
    log(made, {"global_step": 1, "loss": 0.5, "stage": "=1+1"}, {"global_step": 2, "loss": float("inf")})
    return made


def test_it_exports_numbers_as_csv(run: Run, tmp_path: Path) -> None:
    printed = runicorn("export-data", "--run-id", run.pk)
    assert printed == "global_step,loss,stage\n1,0.5,'=1+1\n2,,\n"
    assert runicorn("export-data", "--run-id", run.pk, "--output", "a.csv") == "Exported to a.csv\n"
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == "global_step,loss,stage"


def test_it_exports_numbers_as_a_sheet(run: Run, tmp_path: Path) -> None:
    name = f"{run.pk}_metrics.xlsx"
    assert runicorn("export-data", "--run-id", run.pk, "--format", "excel") == f"Exported to {name}\n"
    rows = list(load_workbook(tmp_path / name).active.iter_rows(values_only=True))
    assert rows == [("global_step", "loss", "stage"), (1, 0.5, "'=1+1"), (2, None, None)]


def test_it_exports_reports(run: Run, tmp_path: Path) -> None:
    runicorn("export-data", "--run-id", run.pk, "--format", "markdown")
    runicorn("export-data", "--run-id", run.pk, "--format", "html", "--output", "page.html")
    assert (tmp_path / f"{run.pk}_report.markdown").read_text().startswith("# Run ")
    assert "<html" in (tmp_path / "page.html").read_text()


def test_data_of_no_run_or_no_place_is_refused(run: Run) -> None:
    assert refused("export-data", "--run-id", RUN_ID) == (1, f"Run not found: {RUN_ID}")
    status, said = refused("export-data", "--run-id", run.pk, "--output", "missing/a.csv")
    assert status == 1 and "missing/a.csv cannot be written" in said


def test_it_tags_and_finds_runs(run: Run) -> None:
    make_run(project="text", name="resnet", tags=["new"])
    assert runicorn("manage", "--action", "tag", "--run-id", run.pk, "--tags", "new, best,old") == (
        f"Tagged {run.pk}: old, new, best\n"
    )
    line = f"  - {run.pk}: vision/resnet [old, new, best]\n"
    for arguments in (["--project", "vision"], ["--tags", "best,new"], ["--text", "VISI"], ["--text", run.pk]):
        assert runicorn("manage", "--action", "search", *arguments) == f"Found 1 experiments:\n{line}"
    assert runicorn("manage", "--action", "search", "--text", "%") == "Found 0 experiments:\n"
    status, said = refused("manage", "--action", "tag", "--run-id", run.pk, "--tags", "t" * 101)
    assert status == 1 and "100" in said


def test_it_deletes_into_the_recycle_bin(run: Run) -> None:
    assert runicorn("manage", "--action", "delete", "--run-id", run.pk) == (
        f"Deleted: {run.pk} is in the recycle bin\n"
    )
    assert Run.objects.get().delete_reason == "user_deleted"
    assert refused("manage", "--action", "delete", "--run-id", run.pk) == (1, f"Run not found: {run.pk}")


def test_it_cleans_up_what_ended_long_ago(run: Run) -> None:
    Run.objects.update(ended_at=timezone.now() - timedelta(days=31))
    make_run(status="finished")
    make_run()
    assert runicorn("manage", "--action", "cleanup", "--dry-run") == (
        f"Would delete 1 old experiments:\n  - {run.pk}\n"
    )
    assert Run.objects.visible().count() == 3
    assert runicorn("manage", "--action", "cleanup") == "Deleted 1 old experiments\n"
    assert Run.objects.get(pk=run.pk).delete_reason == "cleanup"
    assert runicorn("manage", "--action", "cleanup", "--days", 0) == "Deleted 1 old experiments\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("manage", "--action", "tag"), ("manage", "--action", "delete"), ("rate-limit", "--action", "get"),
        ("rate-limit", "--action", "set", "--endpoint", "/api/runs"), ("artifacts", "--action", "list"),
        ("generate-manifest", "--root", "."), ("rate-limit", "--action", "settings", "--enable", "--disable"),
    ],
)  # fmt: skip
def test_bad_usage_has_status_2(arguments: tuple[str, ...]) -> None:
    status, said = refused(*arguments)
    assert status == 2 and said


def test_it_changes_rate_limits(tmp_path: Path) -> None:
    assert json.loads(runicorn("rate-limit"))["default"]["max_requests"] == 60
    endpoint = ["--endpoint", "/api/runs"]
    assert "  /api/runs: 100/60s - list of runs\n" in runicorn("rate-limit", "--action", "list")
    runicorn("rate-limit", "--action", "set", *endpoint, "--max-requests", 7, "--window", 30, "--burst", 2)
    assert (load().endpoints["/api/runs"].max_requests, load().endpoints["/api/runs"].burst_size) == (7, 2)
    assert "max_requests: 7\n" in runicorn("rate-limit", "--action", "get", *endpoint)
    runicorn("rate-limit", "--action", "remove", *endpoint)
    assert "(using default)" in runicorn("rate-limit", "--action", "get", *endpoint)
    assert "No specific" in runicorn("rate-limit", "--action", "remove", *endpoint)
    said = runicorn("rate-limit", "--action", "settings", "--disable", "--no-log-violations", "--whitelist-localhost")
    assert said == "  enable_rate_limiting: false\n  log_violations: false\n  whitelist_localhost: true\n"
    assert not load().settings.enable_rate_limiting
    assert runicorn("rate-limit", "--action", "validate") == "Configuration is valid\n"
    rate_limits_file().write_text('{"default": {"max_requests": 0}}')
    status, said = refused("rate-limit", "--action", "validate")
    assert status == 1 and "max_requests" in said
    runicorn("rate-limit", "--action", "reset")
    assert not rate_limits_file().exists()


def test_a_bad_limit_changes_nothing() -> None:
    status, said = refused("rate-limit", "--action", "set", "--endpoint", "runs", "--max-requests", 5)
    assert status == 1 and "must be a path" in said and not rate_limits_file().exists()


def test_it_configures_where_scripts_write(tmp_path: Path) -> None:
    file = tmp_path / "config" / "runicorn" / "config.json"
    assert f"  File          : {file}\n  user_root_dir : (not set)\n" in runicorn("config")
    file.parent.mkdir(parents=True)
    file.write_text('{"theme": "dark"}')
    assert runicorn("config", "--set-user-root", "~/../" + str(tmp_path / "data")).startswith("Set user_root_dir to: ")
    runicorn("config", "--set-user-root", tmp_path / "data")
    assert json.loads(file.read_text()) == {"theme": "dark", "user_root_dir": str((tmp_path / "data").resolve())}
    assert f"user_root_dir : {(tmp_path / 'data').resolve()}" in runicorn("config", "--show")
    file.write_text("[")
    assert "(not set)" in runicorn("config")


def test_the_viewer_is_serve_at_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, arguments: started.append(arguments[2:]))
    (tmp_path / "root").mkdir()
    runicorn("viewer", "--storage", tmp_path / "root", "--reload")
    assert ImportedRoot.objects.get().is_followed
    runicorn("viewer", "--host", "0.0.0.0", "--port", "9", "--remote-mode", "--reload", "--log-level", "DEBUG")
    assert started == [
        ["serve", "--host", "127.0.0.1", "--port", "23300", "--log-level", "info", "--reload"],
        ["serve", "--host", "127.0.0.1", "--port", "9", "--log-level", "debug"],
    ]
    monkeypatch.setattr(configuration, "is_running", lambda: True)
    assert "is running, at the address in its first lines" in runicorn("viewer") and len(started) == 2
    assert refused("viewer", "--storage", "missing")[0] == 1


def test_the_viewer_points_at_the_server_that_runs() -> None:
    itself = ProcessIdentity.of(os.getpid())
    assert itself is not None
    write_record(serve_record(), {"serve": itself})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = runicorn("viewer")
    assert "is running, at " in said and f"127.0.0.1:{port}" in said


@pytest.mark.process
def test_exit_statuses_of_the_real_command(tmp_path: Path) -> None:
    """While no server runs."""
    home = tmp_path / "real"
    env: dict[str, Any] = server_environment(home)
    prepare_database(home, env)
    statuses = {
        (): 2, ("nonsense",): 2, ("manage", "--action", "nonsense"): 2, ("artifacts", "--action", "list"): 2,
        ("export-data", "--run-id", RUN_ID): 1, ("rate-limit", "--action", "list"): 0,
    }  # fmt: skip
    for arguments, expected in statuses.items():
        command = [sys.executable, "manage.py", "runicorn", *arguments]
        ended = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=60)
        assert (ended.returncode, "Traceback" in ended.stderr) == (expected, False), (arguments, ended.stderr)
