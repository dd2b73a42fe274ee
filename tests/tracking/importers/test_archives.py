"""Runs as archives: what goes out comes in again, and nothing in an archive reaches beyond its runs."""

import gzip
import io
import json
import os
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mlserver.errors import Invalid, OutOfSpace
from registry.datasets import streams
from tests.make import make_run, make_sdk_run, make_user
from tests.metrics import log, rows_of
from tests.peer_files import RUN_ID, PeerRun, metrics
from training import paths
from training.models import Run, RunAlias, RunEnvironment, RunMedia
from training.tracking import logs
from training.tracking.importers import unpacking
from training.tracking.importers.folders import Intake
from training.tracking.importers.packing import pack
from training.tracking.importers.roots import register_root
from training.tracking.importers.unpacking import unpack
from training.tracking.job_files import opened_in_run
from training.tracking.metrics import cache, read_table

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]
PLACE = f"vision/resnet/runs/{RUN_ID}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path.resolve() / "root"
    path.mkdir()
    return path


def tarred(path: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def files_in(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() or path.is_symlink())


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_what_goes_out_comes_in_again(tmp_path: Path, root: Path) -> None:
    run = make_run(status="failed", project="größe", name="a/b", tags=["good"], notes="x", summary={"note": "ü"},
                   exit_reason="exit code 1", best_metric_name="acc", best_metric_value=0.5)  # fmt: skip
    run.merge_summary({"best_metric_name": "acc", "best_metric_value": 0.5})
    log(run, {"global_step": 1, "loss": 0.5, "stage": "warm"}, {"global_step": 2, "loss": float("nan"), "is_on": True})
    RunEnvironment.objects.create(run=run, facts={"python": "3.11.7"})
    RunMedia.objects.create(run=run, name="a.png", key="sample", step=2, caption="a cat")
    (run.directory / "media").mkdir(parents=True)
    (run.directory / "media" / "a.png").write_bytes(b"picture")
    (run.directory / "logs.txt").write_text("a line\n")
    (run.directory / "checkpoint.pt").write_bytes(b"large")
    before = (rows_of(read_table(run)), run.created_at, run.ended_at)
    archive = tmp_path / "runs.tar.gz"
    assert pack([run], archive) == 1
    run_id = run.pk
    Run.objects.all().delete()
    cache.clear()

    unpacked = unpack(archive, root)
    assert (len(unpacked.folders), unpacked.known, unpacked.skipped) == (1, [], 0)
    row = register_root(root, make_user())
    for _ in Intake(row).take_in(unpacked.folders):
        pass
    again = Run.objects.get(pk=run_id)
    assert (rows_of(read_table(again)), again.created_at, again.ended_at) == before
    assert (again.project, again.name, again.tags, again.notes) == ("größe", "a/b", ["good"], "x")
    assert (again.status, again.exit_reason, again.summary["note"]) == ("failed", "exit code 1", "ü")
    assert (again.best_metric_name, again.best_metric_value) == ("acc", 0.5)
    assert RunEnvironment.objects.get(run=again).facts == {"python": "3.11.7"}
    picture = RunMedia.objects.get(run=again)
    assert (picture.key, picture.step, picture.caption) == ("sample", 2, "a cat")
    with opened_in_run(again, "media/a.png") as file:
        assert file is not None and file.read(0, file.size) == b"picture"
    assert [line.text for line in logs.tail(again).lines] == ["a line"]
    assert not any("checkpoint" in name for name in files_in(root)), "files of the job itself stay behind"


def test_an_archive_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    run = make_sdk_run()

    def runs() -> Any:
        yield run
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        pack(runs(), tmp_path / "runs.tar.gz")
    assert list(tmp_path.glob("*.tar.gz*")) == [] and list(tmp_path.glob(".*")) == []


def test_a_log_that_shrinks_while_it_is_packed_breaks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_sdk_run()
    run.directory.mkdir(parents=True)
    (run.directory / "logs.txt").write_text("0123456789")
    monkeypatch.setattr("training.tracking.job_files.os.pread", lambda *_: b"")
    pack([run], tmp_path / "runs.tar.gz")
    with tarfile.open(tmp_path / "runs.tar.gz") as archive:
        assert any(member.name.endswith("logs.txt") and member.size == 10 for member in archive)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_links_and_what_leads_elsewhere_is_passed_over(tmp_path: Path, root: Path) -> None:
    pipe = tarfile.TarInfo(f"{PLACE}/pipe")
    pipe.type = tarfile.FIFOTYPE
    names = [
        "../evil", f"{PLACE}/../../../../../evil", "/etc/evil", f"/{PLACE}/evil", "evil", "artifacts/a/runs/x/evil",
        f"{PLACE}", "vision/resnet/runs/no-id/evil", f"vision/resnet/else/{RUN_ID}/evil",
        f".ssh/resnet/runs/{RUN_ID}/x",
        f"{PLACE}/a\\b", f"{PLACE}/" + "n" * 256, f"{PLACE}/" + "d/" * 20 + "deep", f"{PLACE}/logs.txt.lock",
        f"artifacts/resnet/runs/{RUN_ID}/evil",
    ]  # fmt: skip
    archive = tarred(
        tmp_path / "evil.tar.gz",
        link(f"{PLACE}/link", "/etc/passwd"),
        link(f"{PLACE}/hard", "meta.json", tarfile.LNKTYPE),
        link("vision/other", str(tmp_path)),
        ("vision/other/runs/20260307_091502_aaaaaa/through-link", b"x"),
        pipe,
        *((name, b"evil") for name in names),
        (f"./{PLACE}/meta.json", b"{}"),
    )
    unpacked = unpack(archive, root)
    assert files_in(root) == [
        "vision/other/runs/20260307_091502_aaaaaa/through-link", f"{PLACE}/meta.json",
    ]  # fmt: skip
    assert unpacked.skipped == 4 + len(names) and not list(tmp_path.glob("evil"))
    assert not list(root.glob(".import-*"))


def test_links_in_a_zip_are_passed_over(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "runs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(f"{PLACE}/link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr(f"{PLACE}/meta.json", "{}")
        archive.writestr("../evil", "x")
        archive.mkdir("vision/")
    assert unpack(path, root).skipped == 3
    assert files_in(root) == [f"{PLACE}/meta.json"]


def test_the_old_form_comes_in_too(tmp_path: Path, root: Path) -> None:
    archive = tarred(tmp_path / "old.tgz", (f"runs/{RUN_ID}/meta.json", b'{"project": "old"}'))
    (folder,) = unpack(archive, root).folders
    assert (folder.path, folder.experiment.project) == (root / "runs" / RUN_ID, "")


def test_runs_that_are_known_are_left_alone(tmp_path: Path, root: Path) -> None:
    make_run(id=RUN_ID)
    RunAlias.objects.create(alias="20260307_091502_aaaaaa", run=make_run())
    there = PeerRun(root, "20260307_091502_bbbbbb")
    there.say(metrics(1, loss=0.5))
    ids = [RUN_ID, "20260307_091502_aaaaaa", "20260307_091502_bbbbbb"]
    archive = tarred(tmp_path / "a.tar.gz", *((f"vision/resnet/runs/{it}/events.jsonl", b"new") for it in ids))
    before = files_in(root)
    assert sorted(unpack(archive, root).known) == sorted(ids)
    assert files_in(root) == before and b"new" not in (there.directory / "events.jsonl").read_bytes()


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar", "a.tgz"])
@pytest.mark.parametrize("content", [b"", b"garbage" * 500, b"PK\x03\x04" + b"\0" * 300, b"\x1f\x8b\x08" + b"\0" * 300])
def test_what_is_no_archive_is_refused(name: str, content: bytes, tmp_path: Path, root: Path) -> None:
    (tmp_path / name).write_bytes(content)
    if name == "a.tar" and not content:
        pytest.skip("nothing is an empty tar")
    with pytest.raises(Invalid, match="cannot be read"):
        unpack(tmp_path / name, root)
    assert names_in(root) == []


def test_a_torn_archive_brings_nothing(tmp_path: Path, root: Path) -> None:
    whole = tarred(tmp_path / "a.tar.gz", (f"{PLACE}/meta.json", b"{}"), (f"{PLACE}/events.jsonl", os.urandom(100_000)))
    whole.write_bytes(whole.read_bytes()[:50_000])
    with pytest.raises(Invalid):
        unpack(whole, root)
    assert names_in(root) == []


def test_another_kind_of_file_is_refused(tmp_path: Path, root: Path) -> None:
    (tmp_path / "a.rar").write_bytes(b"x")
    with pytest.raises(Invalid, match="none of"):
        unpack(tmp_path / "a.rar", root)


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_a_bomb_is_refused(form: str, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FREE_OF_RATIO_BYTES", 1024**2)
    path, zeros = tmp_path / f"bomb.{form}", b"\0" * (20 * 1024**2)
    if form == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{PLACE}/events.jsonl", zeros)
    else:
        tarred(path, (f"{PLACE}/events.jsonl", zeros))
    with pytest.raises(Invalid, match="unpacks to more than 200 times its size"):
        unpack(path, root)
    assert names_in(root) == []


def test_a_bomb_of_members_is_refused(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_MEMBERS", 10)
    archive = tarred(tmp_path / "many.tar.gz", *((f"{PLACE}/{number}", b"") for number in range(11)))
    with pytest.raises(Invalid, match="more than 10 members"):
        unpack(archive, root)


def test_a_full_disk_is_said_before_it_is_full(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "SPARE_BYTES", 2**62)
    archive = tarred(tmp_path / "a.tar.gz", (f"{PLACE}/meta.json", b"{}"))
    with pytest.raises(OutOfSpace):
        unpack(archive, root)
    assert names_in(root) == []


def test_a_killed_import_leaves_nothing_for_long(tmp_path: Path, root: Path) -> None:
    (root / ".import-dead").mkdir()
    (root / ".import-young").mkdir()
    os.utime(root / ".import-dead", (0, 0))
    unpack(tarred(tmp_path / "a.tar.gz", (f"{PLACE}/meta.json", b"{}")), root)
    assert sorted(names_in(root)) == [".import-young", "vision"]


def test_an_archive_of_the_original_comes_in(tmp_path: Path, root: Path) -> None:
    """As its documentation says: directories of runs relative to the root, with everything in them."""
    peer = PeerRun(tmp_path / "there", deleted={"deleted_at": 1.0})
    peer.say(metrics(1, loss=0.5))
    (peer.directory / "events.jsonl.lock").touch()
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(peer.directory, PLACE)
    unpacked = unpack(tmp_path / "a.tar.gz", root)
    assert files_in(root) == [f"{PLACE}/{name}" for name in (".deleted", "events.jsonl", "meta.json", "status.json")]
    assert unpacked.files == 4


def test_gzip_bytes_behind_the_end_are_ignored(tmp_path: Path, root: Path) -> None:
    path = tarred(tmp_path / "a.tar.gz", (f"{PLACE}/meta.json", json.dumps({}).encode()))
    path.write_bytes(path.read_bytes() + gzip.compress(b""))
    assert unpack(path, root).files == 1
    assert paths.runs_root() != root
