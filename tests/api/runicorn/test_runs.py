"""R1: the list of runs."""

import os
import socket
import subprocess
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_process, make_run, make_sdk_run, make_task, make_user, make_version
from training import paths
from training.api.runicorn import run_json, runs
from training.api.runicorn.runs import LOOK
from training.models import RunArtifact, RunProcess, RunStatus, Usage

pytestmark = pytest.mark.django_db
HERE = socket.gethostname()


def get(client: Client | None = None) -> list[dict]:
    answer = (client or make_client(scope="read")).get("/api/runs")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_it_shows_a_run_with_exactly_these_fields(home):
    run = make_run(
        make_task(project="vision", name="resnet"), status="finished", best_metric_name="acc", best_metric_value=0.9
    )
    make_process(run, rank=1, pid=12)
    make_process(run, rank=0, pid=11)
    for usage, count in ((Usage.USED, 2), (Usage.PRODUCED, 1)):
        for _ in range(count):
            RunArtifact.objects.create(run=run, version=make_version(), usage=usage)
    assert get() == [
        {
            "id": run.pk,
            "run_dir": str(home / "runs" / "vision" / "resnet" / "runs" / run.pk),
            "created_time": run.created_at.timestamp(),
            "status": "finished",
            "pid": 11,
            "best_metric_value": 0.9,
            "best_metric_name": "acc",
            "project": "vision",
            "name": "resnet",
            "artifacts_created_count": 1,
            "artifacts_used_count": 2,
        }
    ]


def test_it_shows_what_a_run_does_not_have_yet():
    make_run(make_task(name=""), status="starting")
    (said,) = get()
    assert (said["name"], said["pid"], said["best_metric_name"], said["best_metric_value"]) == (
        "default", None, None, None,
    )  # fmt: skip
    assert said["artifacts_created_count"] == said["artifacts_used_count"] == 0


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("starting", "running"),
        ("running", "running"),
        ("ending", "running"),
        ("finished", "finished"),
        ("failed", "failed"),
        ("stopped", "interrupted"),
    ],
)
def test_it_spells_every_status(status, said):
    make_run(status=status)
    assert [run["status"] for run in get()] == [said]


def test_it_lists_runs_of_every_door_the_newest_first():
    now = timezone.now()
    old = make_run(source="training", created_at=now - timedelta(hours=1))
    new = make_sdk_run(created_at=now)
    middle = make_run(source="flowline", created_at=now - timedelta(minutes=1))
    assert [run["id"] for run in get()] == [new.pk, middle.pk, old.pk]


def test_it_hides_the_recycle_bin():
    make_run(status=RunStatus.FINISHED, deleted_at=timezone.now())
    assert get() == []


def test_it_names_the_directory_that_is_there():
    renamed = make_run(make_task(name="new name"), dir_name="old name")
    odd = make_run(make_task(project="runs", name="ä b"))
    outside = make_sdk_run(outside_dir="/data/runicorn/p/n/runs/x")
    said = {run["id"]: run["run_dir"] for run in get()}
    assert said == {run.pk: str(run.directory) for run in (renamed, odd, outside)}
    assert said[odd.pk].startswith(str(paths.runs_root()))


def test_it_counts_the_artifacts_of_many_runs_as_those_of_few(monkeypatch):
    monkeypatch.setattr(run_json, "FEW", 1)
    made = {make_run().pk: count for count in (0, 2, 1)}
    for run_id, count in made.items():
        for _ in range(count):
            RunArtifact.objects.create(run_id=run_id, version=make_version(), usage=Usage.PRODUCED)
    assert {run["id"]: run["artifacts_created_count"] for run in get()} == made


@pytest.mark.database
def test_it_tells_instants_to_the_microsecond():
    instants = [timezone.now().replace(microsecond=part) for part in (0, 1, 120_000, 999_999)]
    runs = [make_run(created_at=instant) for instant in instants]
    said = {run["id"]: run["created_time"] for run in get()}
    assert said == {run.pk: instant.timestamp() for run, instant in zip(runs, instants, strict=True)}


def test_it_needs_a_key_and_no_more_than_to_read():
    assert Client().get("/api/runs").status_code == 401
    run = make_run(owner=make_user())
    assert [it["id"] for it in get(make_client(scope="read"))] == [run.pk]


def test_it_lets_trusted_loopback_in(settings):
    settings.TRUST_LOOPBACK = ["runicorn"]
    assert get(Client(REMOTE_ADDR="127.0.0.1")) == []


def test_it_ends_a_run_whose_process_is_gone_from_this_machine():
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    gone, alive, elsewhere = (make_sdk_run(host=host) for host in (HERE, HERE, "elsewhere"))
    for run, pid in ((gone, process.pid), (alive, os.getpid()), (elsewhere, process.pid)):
        RunProcess.objects.create(run=run, pid=pid)
    LOOK.forget()
    said = {run["id"]: run["status"] for run in get()}
    assert said == {gone.pk: "failed", alive.pk: "running", elsewhere.pk: "running"}
    gone.refresh_from_db()
    assert (gone.exit_reason, gone.exit_class) == ("process_not_found", "killed")
    assert gone.ended_at is not None


def test_it_looks_after_processes_now_and_then_only(monkeypatch):
    looked = []
    monkeypatch.setattr(runs, "check_outside_runs", lambda: looked.append(1))
    LOOK.forget()
    for _ in range(3):
        get()
    assert looked == [1]


def test_it_asks_for_all_runs_at_once(django_assert_num_queries):
    client = make_client(scope="read")
    for _ in range(5):
        make_process(make_run())
    get(client)
    with django_assert_num_queries(3):  # the key, the runs, their artifacts
        assert len(get(client)) == 5
