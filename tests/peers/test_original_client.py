"""The original Python client (`runicorn.api`), unmodified, against this server: each call whose row is here."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers.original import run_script
from tests.peers.scripts import TRAINING
from tests.serving import RunningServer, free_port
from tests.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

# Connects to the address it is given, does what the second argument says with `client`, prints the result as JSON.
CALL = """
import json, sys
import runicorn.api as api

client = api.connect(sys.argv[1])
with client:
    try:
        result = eval(sys.argv[2])
    except api.RunicornAPIError as error:
        result = type(error).__name__
print(json.dumps(result.decode("latin-1") if isinstance(result, bytes) else result))
"""


class OriginalClient:
    """Each call is made by a process of its own, in which `runicorn` is the original."""

    def __init__(self, address: str, run_id: str) -> None:
        self.address, self.run_id = address, run_id

    def __call__(self, call: str) -> Any:
        return json.loads(run_script(CALL, self.address, f"client.{call}").stdout)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OriginalClient]:
    """At a second address without a key, as on a box of one's own, with one finished run of the original library."""
    folder, port = tmp_path_factory.mktemp("client"), free_port()
    env = {"RUNICORN_HEALTH_STATUS": "healthy", "MLSERVER_TRUST_LOOPBACK": "runicorn", "RUNICORN_RATE_LIMIT": "off"}
    with RunningServer(folder / "home", env=dict(env)) as server:
        server.start("--listen", f"127.0.0.1:{port}")
        (folder / "go").touch()
        run_script(TRAINING, folder / "go", RUNICORN_DIR=str(folder / "root"))
        assert server.manage("import_runicorn", str(folder / "root")).returncode == 0
        runs = server.api.get("/api/v1/runs", params={"project": "vision"}).json()["results"]
        until(lambda: server.is_healthy(), what="the server answers")
        yield OriginalClient(f"http://127.0.0.1:{port}", runs[0]["id"])


def test_it_connects(client: OriginalClient) -> None:
    assert client("health_check()")["status"] == "healthy"


def test_it_lists_experiments(client: OriginalClient) -> None:
    (found,) = client("list_experiments(project='vision', name='resnet', status='finished', limit=5)")
    assert (found["id"], found["project"], found["name"], found["status"]) == (
        client.run_id, "vision", "resnet", "finished",
    )  # fmt: skip
    assert found["summary"]["notes"] == "as expected" and found["tags"] == []
    assert client("list_experiments(project='nobody')") == []
    assert client("list_experiments(limit=1, offset=1)") == []


@pytest.mark.parametrize("call", ["get_experiment", "get_run"])
def test_it_reads_a_run(call: str, client: OriginalClient) -> None:
    run = client(f"{call}({client.run_id!r})")
    assert (run["id"], run["status"], run["project"]) == (client.run_id, "finished", "vision")
    assert Path(run["logs"]).read_text().splitlines()[-1].endswith("| done")


def test_it_lists_projects(client: OriginalClient) -> None:
    assert "vision" in json.dumps(client("list_projects()"))


def test_it_reads_metrics(client: OriginalClient) -> None:
    answer = client(f"get_metrics({client.run_id!r}, ['loss', 'acc'], limit=10)")
    assert answer["run_id"] == client.run_id
    assert [point["step"] for point in answer["metrics"]["loss"]] == list(range(41, 51))
    assert answer["metrics"]["acc"][-1]["value"] == 0.5
    assert set(client(f"get_metrics({client.run_id!r})")["metrics"]) == {"loss", "acc"}, "NaN is no recorded number"


def test_it_exports(client: OriginalClient) -> None:
    exported = json.loads(client(f"export_experiment({client.run_id!r})"))
    assert (exported["id"], len(exported["metrics"]["loss"])) == (client.run_id, 50)
    table = client(f"export_experiment({client.run_id!r}, format='csv')").splitlines()
    assert (table[0], len(table)) == ("global_step,acc,loss,lr,stage,time", 51)
    archive = client(f"export_experiment({client.run_id!r}, include_media=True)")
    assert archive.startswith("PK") and "_sample.png" in archive


def test_it_reads_the_gpus(client: OriginalClient) -> None:
    assert "available" in client("get_gpu_info()")


def test_its_exceptions_are_raised(client: OriginalClient) -> None:
    assert client("get_run('20200101_000000_abcdef')") == "NotFoundError"
    assert client("get_run('nonsense')") == "BadRequestError"
    assert client("get('/api/no-such-row')") == "NotFoundError"
