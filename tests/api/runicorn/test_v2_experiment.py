"""R19: one run with a summary of its metrics and files."""

import pytest
from django.test import Client

from tests.api.runicorn.refusals import assert_refuses_other_runs
from tests.make import make_client, make_run
from tests.metrics import log
from training.api.runicorn.v2 import files_in
from training.models import RunAlias, RunEnvironment
from training.tracking.system.store import RunSample, store

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def client() -> Client:
    return make_client(scope="read")


@pytest.mark.database
def test_it_sums_up_what_belongs_to_a_run(client):
    run = make_run(status="finished", tags=["a"])
    log(run, {"global_step": 3, "loss": 0.5, "acc": 0.1}, {"global_step": 9, "loss": 0.4})
    RunEnvironment.objects.create(run=run)
    (run.directory / "media").mkdir(parents=True)
    for name in ("logs.txt", "media/one.png", "media/two.png"):
        (run.directory / name).write_text("x")
    said = client.get(f"/api/v2/experiments/{run.pk}").json()
    assert said["experiment"]["id"] == run.pk
    assert said["experiment"]["tags"] == ["a"]
    assert said["metrics_summary"] == {
        "total_data_points": 3, "available_metrics": ["acc", "loss"], "step_range": {"min": 3, "max": 9},
    }  # fmt: skip
    assert (said["environment_available"], said["file_count"]) == (True, 3)


def test_it_says_so_when_there_is_nothing(client):
    run = make_run()
    RunAlias.objects.create(alias="20260307_091502_4fe0b8", run=run)
    said = client.get("/api/v2/experiments/20260307_091502_4fe0b8").json()
    assert said["experiment"]["id"] == run.pk
    assert said["metrics_summary"] == {"total_data_points": 0, "available_metrics": [], "step_range": None}
    assert (said["environment_available"], said["file_count"]) == (False, 0)


def test_what_the_server_sampled_is_no_metric_of_it(client):
    run = make_run()
    store([RunSample(run.pk, 7200, 1.0, {"system/cpu_percent": 50.0})])
    summary = client.get(f"/api/v2/experiments/{run.pk}").json()["metrics_summary"]
    assert summary == {"total_data_points": 0, "available_metrics": [], "step_range": None}


def test_it_refuses_other_runs(client):
    assert_refuses_other_runs(client, "/api/v2/experiments/{}")


def test_it_counts_files_to_a_limit_and_follows_no_links(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "loop").symlink_to(tmp_path)
    for n in range(5):
        (tmp_path / "inner" / str(n)).touch()
    assert len(list(files_in(tmp_path))) == 5
    assert len(list(files_in(tmp_path, 3))) == 3
    assert list(files_in(tmp_path, 1)) == [], "directories are looked into to the same limit"
    assert list(files_in(tmp_path / "inner" / "loop")) == []


def test_its_queries_are_counted(client, django_assert_num_queries):
    run = make_run()
    client.get(f"/api/v2/experiments/{run.pk}")
    with django_assert_num_queries(8):
        client.get(f"/api/v2/experiments/{run.pk}")
