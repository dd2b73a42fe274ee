"""Each method of the client against a real server, with runs that the SDK made (section 11 of the API document)."""

import csv
import io
import json
import math
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlserver_client import api
from mlserver_client.api import utils

from tests.clients.scripts import run_script
from tests.docs.test_client_pages import CLIENT, run_snippet, snippets
from tests.pictures import picture
from tests.serving import RunningServer

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

RUNS = f"""
picture = {picture()!r}
for number, (project, name) in enumerate([("digits", "first"), ("digits", "second"), ("letters", "first")]):
    run = rn.init(project=project, name=name, run_id=f"20260102_03040{{number}}_0a1b2c", capture_env=False)
    run.set_primary_metric("accuracy")
    for step in range(1, 4):
        run.log({{"loss": 1 / step, "accuracy": number + step / 10, "phase": "train"}}, step=step)
    run.log({{"val_loss": float("nan") if number else 0.25}}, step=2)
    run.log_image("cat", picture)
    run.summary({{"number": number}})
    run.finish("failed" if number == 1 else "finished")
"""
FIRST, SECOND, LETTERS = (f"20260102_03040{number}_0a1b2c" for number in range(3))


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("client")
    with RunningServer(folder / "home") as running:
        running.start()
        env = {"MLSERVER_URL": running.url, "MLSERVER_API_KEY": running.key}
        status, _, err = run_script(folder, RUNS, env=env)
        assert (status, err) == (0, "")
        yield running


@pytest.fixture
def client(box: RunningServer) -> Iterator[api.RunicornClient]:
    with api.connect(box.url, api_key=box.key) as connected:
        yield connected


def ids(experiments: list[dict[str, Any]]) -> list[str]:
    return [experiment["id"] for experiment in experiments]


def test_it_connects_by_argument_and_by_environment(box: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with api.connect(f"{box.url}/ignored/", timeout=7, max_retries=1, api_key=box.key) as client:
        assert (client.base_url, client.timeout) == (box.url, 7)
        assert client.health_check()["status"] == "ok"
    monkeypatch.setenv("MLSERVER_URL", box.url)
    monkeypatch.setenv("MLSERVER_API_KEY", box.key)
    with api.connect() as client:
        assert ids(client.list_experiments()) == [LETTERS, SECOND, FIRST]


@pytest.mark.parametrize("key", [None, "mls_wrong"])
def test_a_key_is_needed(key: str | None, box: RunningServer) -> None:
    with api.connect(box.url, api_key=key) as client, pytest.raises(api.AuthenticationError, match="401"):
        client.list_experiments()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [LETTERS, SECOND, FIRST]),
        ({"project": "digits"}, [SECOND, FIRST]),
        ({"project": "digits", "name": "first"}, [FIRST]),
        ({"status": "failed"}, [SECOND]),
        ({"limit": 2}, [LETTERS, SECOND]),
        ({"limit": 2, "offset": 2}, [FIRST]),
        ({"project": "nobody"}, []),
    ],
)
def test_it_lists_experiments(asked: dict[str, Any], found: list[str], client: api.RunicornClient) -> None:
    assert ids(client.list_experiments(**asked)) == found


def test_it_gets_one(client: api.RunicornClient) -> None:
    said = client.get_experiment(FIRST)
    assert said == client.get_run(FIRST)
    experiment = api.Experiment.from_dict(said)
    assert (experiment.project, experiment.name, experiment.status) == ("digits", "first", "finished")
    assert experiment.summary["number"] == 0
    assert experiment.summary["best_metric_value"] == pytest.approx(0.3)
    listed = next(row for row in client.list_experiments() if row["id"] == FIRST)
    assert api.Experiment.from_dict(listed).summary == experiment.summary
    assert experiment.updated_datetime >= experiment.created_datetime
    with pytest.raises(api.NotFoundError):
        client.get_run("20990101_000000_000000")
    with pytest.raises(api.BadRequestError):
        client.get_run("no-id")


def test_it_lists_projects(client: api.RunicornClient) -> None:
    projects = [api.Project.from_dict(row) for row in client.list_projects()]
    assert [(project.name, project.experiment_count) for project in projects] == [("digits", 2), ("letters", 1)]
    assert all(project.latest_update > 1.7e9 for project in projects)


def test_it_gets_metrics(client: api.RunicornClient) -> None:
    said = client.get_metrics(FIRST)
    assert (said["run_id"], set(said["metrics"])) == (FIRST, {"loss", "accuracy", "val_loss"})
    series = api.MetricSeries.from_dict("loss", said["metrics"]["loss"])
    assert (series.steps, series.values) == ([1, 2, 3], [1, 1 / 2, 1 / 3])
    assert (series.last_value(), series.min_value(), series.max_value()) == (1 / 3, 1 / 3, 1)
    assert series.points[0].timestamp > 1.7e9
    last = client.get_metrics(FIRST, ["accuracy"], limit=1)["metrics"]
    assert [(name, [point["step"] for point in points]) for name, points in last.items()] == [("accuracy", [3])]
    with pytest.raises(api.BadRequestError):
        client.get_metrics(FIRST, limit=0)


def test_it_exports(client: api.RunicornClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert FIRST in json.dumps(json.loads(client.export_experiment(FIRST)))
    rows = list(csv.DictReader(io.StringIO(client.export_experiment(FIRST, "csv").decode())))
    assert [float(row["loss"]) for row in rows] == [1, 1 / 2, 1 / 3]
    assert capsys.readouterr().err == ""
    content = client.export_experiment(FIRST, include_media=True, progress=True)
    archive = zipfile.ZipFile(io.BytesIO(content))
    (image,) = (name for name in archive.namelist() if name.endswith(".png"))
    assert archive.read(image) == picture()
    assert FIRST in capsys.readouterr().err
    with pytest.raises(api.BadRequestError):
        client.export_experiment(FIRST, "xml")


def test_it_asks_for_gpus(client: api.RunicornClient) -> None:
    assert client.get_gpu_info()["available"] in (True, False)


def test_any_other_row_is_called_by_its_path(client: api.RunicornClient) -> None:
    task = client.post("/api/v1/tasks", json={"command": ["/bin/true"], "hold": True})
    assert client.get("api/v1/tasks", params={"status": "held"})["results"][0]["id"] == task["id"]
    said = client.put(f"/api/v1/runs/{SECOND}/summary", json={"note": "x"})
    assert said["script_summary"]["note"] == "x"
    client.post(f"/api/v1/tasks/{task['id']}/stop")
    assert client.delete(f"/api/v1/tasks/{task['id']}") == {}
    with pytest.raises(api.NotFoundError):
        client.get(f"/api/v1/tasks/{task['id']}")
    with pytest.raises(api.ConnectionError, match="422"):
        client.post("/api/v1/tasks", json={})


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_config(),
        lambda client: client.artifacts.list_artifacts(),
        lambda client: client.artifacts.get_artifact("model:v1"),
        lambda client: client.remote.get_remote_status(),
    ],
)
def test_rows_that_the_server_does_not_have_yet_are_not_found(
    call: Callable[[api.RunicornClient], object], client: api.RunicornClient
) -> None:
    """docs/client.md says so: the storage configuration, artifacts, remote viewers."""
    with pytest.raises(api.NotFoundError):
        call(client)


def test_a_server_that_is_killed_is_waited_for(box: RunningServer) -> None:
    with api.connect(box.url, api_key=box.key, max_retries=6) as client:
        box.kill9("web")
        assert ids(client.list_experiments(limit=1)) == [LETTERS]


def test_metrics_and_experiments_become_frames(client: api.RunicornClient, tmp_path: Path) -> None:
    frame = utils.metrics_to_dataframe(client.get_metrics(FIRST))
    assert list(frame["step"]) == [1, 2, 3]
    assert list(frame["loss"]) == [1, 1 / 2, 1 / 3]
    assert [math.isnan(value) for value in frame["val_loss"]] == [True, False, True]
    table = utils.experiments_to_dataframe(client.list_experiments())
    assert list(table["id"]) == [LETTERS, SECOND, FIRST]
    assert str(table["created_at"].dt.tz) == "UTC"
    compared = utils.compare_runs(client, [FIRST, LETTERS], "accuracy")
    assert list(compared[LETTERS] - compared[FIRST]) == pytest.approx([2, 2, 2])
    path = utils.export_metrics_to_csv(client, FIRST, tmp_path / "m.csv", ["loss"])
    assert Path(path).read_text().splitlines()[:2] == ["step,loss", "1,1.0"]


def test_the_snippets_of_its_page_run(box: RunningServer, tmp_path: Path) -> None:
    env = {"MLSERVER_URL": box.url, "MLSERVER_API_KEY": box.key}
    first, second = snippets(CLIENT)
    printed = run_snippet(first.replace("http://127.0.0.1:8000", box.url).replace('"..."', repr(box.key)), tmp_path)
    assert FIRST in printed
    assert SECOND not in printed
    assert "0.3333" in run_snippet(second, tmp_path, env)
    assert zipfile.is_zipfile(tmp_path / "run.zip")
    assert (tmp_path / "metrics.csv").read_text().startswith("step,")
