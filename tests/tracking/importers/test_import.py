"""Runs of a storage root become runs here: everything they say, once, and nothing else."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.make import make_run, make_sdk_run, make_user
from tests.metrics import rows_of
from tests.peer_files import ENDED, RUN_ID, RUNNING, PeerRun, metrics, picture
from tests.together import together
from training import paths
from training.models import (
    Event,
    ImportedRoot,
    Run,
    RunAlias,
    RunEnvironment,
    RunFolder,
    RunMedia,
    RunProcess,
    Series,
    Spool,
)
from training.tracking import logs
from training.tracking.importers.folders import AT_ONCE, Intake
from training.tracking.importers.labels import read_labels
from training.tracking.importers.layout import Folder, Refused, find_folders
from training.tracking.importers.report import Outcome, Report
from training.tracking.importers.roots import register_root
from training.tracking.metrics import cache, read_table

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture(autouse=True)
def _nothing_cached() -> None:
    cache.clear()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


def imported(root: Path) -> Report:
    known = ImportedRoot.objects.first()
    row = register_root(root, known.owner if known else make_user("somebody"))
    intake = Intake(row, read_labels(Path(row.path)))
    for _ in intake.take_in(find_folders(Path(row.path))):
        pass
    return intake.report


def counts(report: Report) -> dict[str, int]:
    return {outcome.value: count for outcome, count in report.outcomes.items() if count}


def test_it_takes_in_all_a_run_says_of_itself(root: Path) -> None:
    peer = PeerRun(
        root,
        summary={"best_metric_value": 0.9, "best_metric_name": "acc", "best_metric_step": 2, "best_metric_mode": "max"},
        environment={"python_version": "3.11.7"},
    )
    peer.say(
        metrics(1, loss=0.5, stage="warm"), metrics(2, loss=0.25, stage="train"), picture("1_a_sample.png", step=2)
    )
    assert counts(imported(root)) == {"new": 1}
    run = Run.objects.get()
    assert (run.pk, run.project, run.name, run.source, run.owner.username) == (
        RUN_ID, "vision", "resnet", "runicorn", "somebody",
    )  # fmt: skip
    assert (run.status, run.exit_class, run.exit_reason) == ("finished", "ok", "its files say: finished")
    assert [it.timestamp() for it in (run.created_at, run.started_at, run.ended_at) if it] == [
        1772874902.0, 1772874902.5, 1772878502.5,
    ]  # fmt: skip
    assert (run.best_metric_name, run.best_metric_value, run.best_metric_step, run.best_metric_mode) == (
        "acc", 0.9, 2, "max",
    )  # fmt: skip
    assert run.summary["best_metric_value"] == 0.9 and run.host == "elsewhere"
    assert RunEnvironment.objects.get(run=run).facts == {"python_version": "3.11.7"}
    assert RunProcess.objects.get(run=run).pid == 4242
    assert RunMedia.objects.get(run=run).name == "1_a_sample.png"
    assert rows_of(read_table(run)) == {
        1: {"time": 1772874901.0, "loss": 0.5, "stage": "warm"},
        2: {"time": 1772874902.0, "loss": 0.25, "stage": "train"},
    }
    assert Event.objects.get(run=run).message == f"from {peer.directory}"


def test_its_files_stay_where_they_are_and_its_log_is_read_there(root: Path) -> None:
    peer = PeerRun(root)
    (peer.directory / "logs.txt").write_text("09:15:02 | begins\n09:15:03 | ends\n")
    imported(root)
    run = Run.objects.get()
    assert run.directory == peer.directory.resolve()
    assert [line.text for line in logs.tail(run).lines] == ["09:15:02 | begins", "09:15:03 | ends"]


def test_a_second_time_imports_nothing(root: Path) -> None:
    PeerRun(root, deleted={"deleted_at": 1772879000.0, "reason": "user_deleted"}).say(metrics(1, loss=0.5))
    first, rows = imported(root), list(Run.objects.values())
    again = imported(root)
    assert (counts(first), first.points, counts(again), again.points, again.files) == (
        {"new": 1}, 1, {"unchanged": 1}, 0, 0,
    )  # fmt: skip
    assert list(Run.objects.values()) == rows and Series.objects.get().count == 1


def test_the_next_time_imports_only_news(root: Path) -> None:
    peer = PeerRun(root, status=RUNNING)
    peer.say(metrics(1, loss=0.5))
    imported(root)
    assert Run.objects.get().status == "running"
    peer.say(metrics(2, loss=0.25))
    peer.write(status=ENDED, summary={"note": "done"})
    report = imported(root)
    run = Run.objects.get()
    assert (counts(report), report.points, Series.objects.get().count) == ({"updated": 1}, 1, 2)
    assert (run.status, run.summary) == ("finished", {"note": "done"})
    assert run.ended_at is not None and run.ended_at.timestamp() == 1772878502.5


def test_it_reads_the_old_form_of_a_root(root: Path) -> None:
    PeerRun(root, project="", meta={"id": RUN_ID, "project": "old", "name": None}).say(metrics(1, loss=0.5))
    assert counts(imported(root)) == {"new": 1}
    run = Run.objects.get()
    assert (run.project, run.name, run.directory) == ("old", "", root.resolve() / "runs" / RUN_ID)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"status": "failed"}, ("failed", "error", "its files say: failed")),
        ({"status": "interrupted"}, ("stopped", "stopped", "its files say: interrupted")),
        ({"status": "failed", "exit_reason": "process_not_found"}, ("failed", "killed", "process_not_found")),
        ({"status": "odd"}, ("finished", "ok", "its files say: odd")),
        ({"status": 5}, ("finished", "ok", "its files say: finished")),
        ({}, ("finished", "ok", "its files say: finished")),
        (None, ("finished", "ok", "its files say: finished")),
        ({"status": "running"}, ("running", "", "")),
    ],
)
def test_it_ended_as_its_files_say(status: object, expected: tuple[str, str, str], root: Path) -> None:
    PeerRun(root, status=status)
    imported(root)
    run = Run.objects.get()
    assert (run.status, run.exit_class, run.exit_reason) == expected
    assert (run.ended_at is None) == (run.status == "running")


def here(**meta: Any) -> dict[str, Any]:
    return {"hostname": socket.gethostname(), "created_at": 1772874902.0, **meta}


def test_a_run_of_this_host_goes_on_while_its_process_lives(root: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        PeerRun(root, status=RUNNING, meta=here(pid=process.pid, created_at=4102444800.0))
        imported(root)
        run = Run.objects.get()
        row = RunProcess.objects.get()
        assert (run.status, row.pid, row.ended_at) == ("running", process.pid, None)
        assert row.start_ticks and row.boot_id
        process.communicate(b"\n")


def test_a_run_of_this_host_has_failed_when_its_process_is_gone(root: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    PeerRun(root, status=RUNNING, meta=here(pid=gone.pid))
    PeerRun(root, "20260307_091502_aaaaaa", status=RUNNING, meta=here(pid=os.getpid()))
    imported(root)
    found = set(Run.objects.values_list("status", "exit_class", "exit_reason"))
    assert found == {("failed", "killed", "process_not_found")}, "a process younger than the run is another"
    assert not RunProcess.objects.filter(ended_at=None).exists()


def test_a_run_whose_process_was_not_found_ends_as_it_says_in_the_end(root: Path) -> None:
    peer = PeerRun(root, status=RUNNING)
    imported(root)
    Run.objects.get().finish("failed", "killed", "process_not_found")
    peer.write(status=ENDED)
    imported(root)
    assert Run.objects.values_list("status", "exit_class").get() == ("finished", "ok")


def test_a_run_that_is_taken_up_again_runs_again(root: Path) -> None:
    peer = PeerRun(root)
    imported(root)
    peer.change_meta(pid=4343)
    peer.write(status=RUNNING)
    imported(root)
    run = Run.objects.get()
    assert (run.status, run.ended_at, run.processes.get().pid) == ("running", None, 4343)


def test_a_marker_moves_it_into_the_recycle_bin_and_out_again(root: Path) -> None:
    peer = PeerRun(root, deleted={"deleted_at": 1772879000.0, "reason": "user_deleted", "original_status": "finished"})
    imported(root)
    run = Run.objects.get()
    assert run.deleted_at is not None and run.deleted_at.timestamp() == 1772879000.0
    assert (run.delete_reason, run.status) == ("user_deleted", "finished")
    (peer.directory / ".deleted").unlink()
    assert counts(imported(root)) == {"updated": 1}
    run.refresh_from_db()
    assert (run.deleted_at, run.delete_reason) == (None, "")


def test_what_was_restored_here_stays_restored(root: Path) -> None:
    PeerRun(root, deleted={"deleted_at": 1772879000.0, "reason": "user_deleted"})
    imported(root)
    Run.objects.update(deleted_at=None, delete_reason="")
    assert counts(imported(root)) == {"unchanged": 1}
    assert Run.objects.get().deleted_at is None


def write_labels(root: Path, **labels: Any) -> None:
    (root / ".experiments_metadata.json").write_text(json.dumps({RUN_ID: labels}))


def test_tags_and_descriptions_come_with_it_and_those_given_here_stay(root: Path) -> None:
    PeerRun(root)
    write_labels(root, id=RUN_ID, tags=["good", "paper", "good", 5, ""], description="the best so far")
    imported(root)
    run = Run.objects.get()
    assert (run.tags, run.notes) == (["good", "paper"], "the best so far")
    Run.objects.update(tags=["good", "paper", "mine"])
    write_labels(root, tags=["paper", "new"], description=None)
    assert counts(imported(root)) == {"updated": 1}
    run.refresh_from_db()
    assert (run.tags, run.notes) == (["paper", "new", "mine"], "the best so far")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\x00\xff\xfe" * 40, b"[1]", b'"text"', b"[" * 5000, b'{"a": ' * 60 + b"1" + b"}" * 60]
)
def test_a_damaged_file_is_left_out_and_read_again_when_it_is_whole(content: bytes, root: Path) -> None:
    peer = PeerRun(root, meta=content, status=content, summary=content, environment=content)
    peer.say(metrics(1, loss=0.5))
    report = imported(root)
    run = Run.objects.get()
    assert (counts(report), report.damaged, report.points) == ({"new": 1}, 4, 1)
    assert (run.project, run.name, run.status, run.summary) == ("vision", "resnet", "finished", {})
    (peer.directory / "summary.json").write_text('{"note": "whole"}')
    imported(root)
    run.refresh_from_db()
    assert run.summary == {"note": "whole"}


def test_what_no_database_holds_is_cleaned(root: Path) -> None:
    peer = PeerRun(root, summary=b'{"a": NaN, "b": [Infinity, 1e999, "x\\u0000y\\ud800"], "best_metric_value": NaN}')
    peer.change_meta(project="a\0b" * 60, name="\ud800", created_at="yesterday", pid=-1, hostname=["x"])
    peer.say(tail=b'{"type": "metrics", "data": {"global_step": 1, "a": NaN, "b": -Infinity}}\n')
    assert counts(imported(root)) == {"new": 1}
    run = Run.objects.get()
    assert run.summary == {"a": None, "b": [None, None, "xy?"], "best_metric_value": None}
    assert (run.project, run.name, run.host, run.best_metric_value) == (("ab" * 60)[:100], "?", "", None)
    assert not run.processes.exists() and run.series.count() == 2


@pytest.mark.parametrize("number", ["NaN", "1e300", "-1e18", "true", '"1"', "1" * 400])
def test_a_time_that_is_none_is_that_of_the_directory(number: str, root: Path) -> None:
    peer = PeerRun(root, meta=b'{"created_at": %s}' % number.encode(), status=b'{"ended_at": %s}' % number.encode())
    imported(root)
    run = Run.objects.get()
    assert abs(run.created_at.timestamp() - peer.directory.stat().st_mtime) < 1
    assert run.ended_at is not None and abs(run.ended_at.timestamp() - peer.directory.stat().st_mtime) < 60


def test_a_torn_last_line_waits_for_its_end_while_the_run_goes_on(root: Path) -> None:
    peer = PeerRun(root, status=RUNNING)
    peer.say(metrics(1, loss=0.5), tail='{"type": "metrics", "data": {"global_step": 2, "lo')
    imported(root)
    assert (Series.objects.get().count, Spool.objects.get().bad_lines) == (1, 0)
    peer.say(tail='ss": 0.25}}\n')
    imported(root)
    assert (Series.objects.get().count, Spool.objects.get().bad_lines) == (2, 0)


def test_bad_lines_are_counted_and_all_around_them_is_kept(root: Path) -> None:
    peer = PeerRun(root)
    peer.say(metrics(1, loss=1.0), tail=b"garbage\n\x00\xff\xfe\n[1]\n")
    peer.say(metrics(2, loss=2.0), tail='{"type": "metrics", "data": {"global_step": 3')
    imported(root)
    assert (Series.objects.get().count, Spool.objects.get().bad_lines) == (2, 4)


def test_a_file_larger_than_a_stretch_comes_whole(root: Path) -> None:
    peer = PeerRun(root)
    filler = "x" * 1000
    peer.say(*(metrics(step, loss=step, note=filler) for step in range(4000)))
    report = imported(root)
    assert (report.points, Series.objects.get(name="loss").count) == (8000, 4000)


def refusals(report: Report) -> dict[str, str]:
    return {reason: str(paths[0].name) for reason, paths in report.examples.items()}


def test_what_is_no_run_is_refused_with_its_reason(root: Path, tmp_path: Path) -> None:
    whole = PeerRun(root)
    runs = whole.directory.parent
    (runs / "checkpoints").mkdir()
    (runs / "20260307_091502_000000").mkdir()
    (runs / "20260307_091502_000001").symlink_to(whole.directory)
    (root / "linked").symlink_to(tmp_path)
    (runs / "20260307_091502_000002").write_text("a file")
    report = imported(root)
    assert counts(report) == {"new": 1, "refused": 4}
    assert set(report.reasons) == {"its name is no run id", "it holds no file of a run", "it is a symbolic link"}
    assert len(report.refusals()) == 3 and "refused 2: it is a symbolic link" in report.refusals()[0]


def test_links_inside_a_run_are_not_followed(root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(
        '{"status": "failed", "created_at": 1.0, "type": "metrics", "data": {"global_step": 1, "x": 1}}\n'
    )
    peer = PeerRun(root, meta=None, status=None)
    for name in (
        "meta.json",
        "status.json",
        "summary.json",
        "environment.json",
        ".deleted",
        "events.jsonl",
        "logs.txt",
    ):
        (peer.directory / name).symlink_to(secret)
    imported(root)
    run = Run.objects.get()
    assert (run.status, run.summary, run.deleted_at, run.series.count()) == ("finished", {}, None, 0)
    assert logs.tail(run).lines == []


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_what_cannot_be_read_is_refused_and_the_others_come(root: Path) -> None:
    PeerRun(root)
    closed = PeerRun(root, "20260307_091502_aaaaaa", name="closed")
    closed.directory.parent.chmod(0)
    report = imported(root)
    closed.directory.parent.chmod(0o755)
    assert counts(report) == {"new": 1, "refused": 1}


def test_an_id_that_is_taken_is_refused(root: Path, tmp_path: Path) -> None:
    for number, make in enumerate((make_run, make_sdk_run)):
        run_id = f"20260307_091502_00000{number}"
        make(id=run_id)
        PeerRun(root, run_id)
    RunAlias.objects.create(alias="20260307_091502_000002", run=make_run())
    PeerRun(root, "20260307_091502_000002")
    other = tmp_path / "other"
    PeerRun(other)
    imported(other)
    PeerRun(root)
    before = list(Run.objects.values())
    report = imported(root)
    assert counts(report) == {"refused": 4} and list(Run.objects.values()) == before
    assert {reason.split(" of ")[0] for reason in report.reasons} == {"its id is that", "it is a part"}


def test_a_run_that_our_own_library_delivers_is_refused(root: Path) -> None:
    peer = PeerRun(root)
    (peer.directory / "delivery.jsonl").write_text('{"begun": true}\n')
    assert imported(root).reasons == {"mlserver_client delivers it": 1}


def test_a_root_that_was_moved_is_known_again(root: Path, tmp_path: Path) -> None:
    PeerRun(root).say(metrics(1, loss=0.5))
    imported(root)
    root.rename(tmp_path / "moved")
    report = imported(tmp_path / "moved")
    run = Run.objects.get()
    assert (counts(report), report.points) == ({"unchanged": 1}, 0)
    assert run.directory.is_relative_to((tmp_path / "moved").resolve())
    assert RunFolder.objects.get().root == ImportedRoot.objects.get(path=str((tmp_path / "moved").resolve()))


def test_runs_of_the_original_in_our_own_root_are_found_and_ours_left_alone() -> None:
    ours = make_run()
    ours.directory.mkdir(parents=True)
    (ours.directory / "meta.json").write_text('{"hostname": "x"}')
    forgotten = paths.runs_root() / "vision" / "resnet" / "runs" / "20260307_091502_aaaaaa"
    forgotten.mkdir(parents=True)
    (forgotten / "logs.txt").write_text("")
    paths.control_dir(forgotten.name).mkdir(parents=True)
    PeerRun(paths.runs_root(), project="bild erkennung", name="größe").say(metrics(1, loss=0.5))
    report = imported(paths.runs_root())
    run = Run.objects.get(source="runicorn")
    assert (counts(report), run.name, run.series.count()) == ({"new": 1, "refused": 1}, "größe", 1)
    assert run.directory == paths.runs_root() / "bild erkennung" / "größe" / "runs" / RUN_ID
    assert list(report.reasons) == ["it was made by the server, which knows it no more"]
    assert counts(imported(paths.runs_root())) == {"unchanged": 1, "refused": 1}


@pytest.mark.django_db(transaction=True)
@pytest.mark.database
def test_two_imports_at_once_take_everything_in_once(root: Path) -> None:
    for number in range(20):
        PeerRun(root, f"20260307_091502_{number:06x}").say(metrics(1, loss=0.5), metrics(2, loss=0.25))
    row = register_root(root, make_user())

    def import_all() -> Report:
        intake = Intake(row)
        for _ in intake.take_in(find_folders(Path(row.path))):
            pass
        return intake.report

    reports = together(import_all, import_all)
    assert sum(report.outcomes[Outcome.NEW] for report in reports) == 20
    assert (Run.objects.count(), set(Series.objects.values_list("count", flat=True))) == (20, {2})


def test_it_asks_the_database_little_for_runs_without_news(root: Path, django_assert_max_num_queries: Any) -> None:
    for number in range(30):
        PeerRun(root, f"20260307_091502_{number:06x}")
    imported(root)
    row = ImportedRoot.objects.get()
    with django_assert_max_num_queries(4):
        for _ in Intake(row).take_in(find_folders(Path(row.path))):
            pass


def test_a_root_of_any_size_takes_no_memory(root: Path) -> None:
    """Folders are listed as they are taken in, a few hundred ahead."""
    for number in range(3 * AT_ONCE):
        (root / "vision" / f"n{number}" / "runs" / f"20260307_091502_{number:06x}").mkdir(parents=True)
    given = []

    def counted() -> Iterator[Folder | Refused]:
        for found in find_folders(root):
            given.append(found)
            yield found

    outcomes = Intake(register_root(root, make_user())).take_in(counted())
    next(outcomes)
    assert len(given) == AT_ONCE
    assert sum(1 for _ in outcomes) == 3 * AT_ONCE - 1
