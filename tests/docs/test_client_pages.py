"""docs/sdk.md and docs/client.md say what is true: their snippets run, their names exist."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import mlserver_client as rn
import pytest
from mlserver_client import api
from mlserver_client.api.artifacts import ArtifactsAPI
from mlserver_client.api.remote import RemoteAPI

from tests.clients.api.rows import Given, RowsServer
from tests.clients.scripts import environment

pytestmark = pytest.mark.process

DOCS = Path(__file__).parents[2] / "docs"
SDK, CLIENT = (DOCS / "sdk.md").read_text(), (DOCS / "client.md").read_text()
README = (DOCS.parent / "clients" / "python" / "README.md").read_text()


def snippets(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


def run_snippet(code: str, folder: Path, env: dict[str, str] | None = None) -> str:
    env = environment({"MLSERVER_FLUSH_S": "0.2", **(env or {})})
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_snippets_of_the_sdk_run(tmp_path: Path) -> None:
    code = [*snippets(SDK), snippets(README)[0]]
    assert len(code) == 4
    for snippet in code:
        run_snippet(snippet, tmp_path)
    assert len(list(tmp_path.glob(".runicorn/digits/*/runs/*/events.jsonl"))) == 4


def test_snippets_of_the_client_run(tmp_path: Path) -> None:
    points = [{"step": step, "value": 1 / step, "timestamp": 1.0} for step in (1, 2)]
    with RowsServer() as rows:
        rows.rows["GET /api/experiments"] = {
            "experiments": [{"id": run_id, "summary": {}, "status": "finished"} for run_id in ("a", "b")]
        }
        for run_id in ("a", "b"):
            rows.rows[f"GET /api/metrics/{run_id}"] = {"metrics": {"loss": points, "accuracy": points}}
        rows.rows["POST /api/export"] = Given(b"PK")
        for snippet in [*snippets(CLIENT), snippets(README)[1]]:
            run_snippet(snippet.replace("http://127.0.0.1:8000", rows.url), tmp_path, {"MLSERVER_URL": rows.url})
    assert (tmp_path / "run.zip").read_bytes() == b"PK"
    assert (tmp_path / "metrics.csv").read_text().startswith("step,loss,accuracy\n1,")


def test_every_call_of_the_sdk_is_named() -> None:
    rows = dict(re.findall(r"^\| `(\w+)\((.*?)\)`", SDK, re.MULTILINE))
    functions = {name for name in rn.__all__ if inspect.isfunction(getattr(rn, name))}
    assert set(rows) == functions
    for name in ("init", "log_image"):
        assert re.findall(r"\w+", rows[name]) == list(inspect.signature(getattr(rn, name)).parameters)
    assert {name for name in rn.__all__ if name.startswith("HAS_")} == set(re.findall(r"HAS_\w+", SDK))


def test_every_call_of_the_client_is_named() -> None:
    for group, prefix in ((api.RunicornClient, ""), (ArtifactsAPI, "artifacts."), (RemoteAPI, "remote.")):
        row = next(line for line in CLIENT.splitlines() if line.startswith(f"| `{prefix}")) if prefix else CLIENT
        for name, _ in inspect.getmembers(group, inspect.isfunction):
            assert name.startswith("_") or name in re.findall(r"\w+", row), name


def test_every_error_and_object_is_named() -> None:
    assert {name for name in api.__all__ if name[0].isupper()} - {"RunicornClient"} <= set(re.findall(r"\w+", CLIENT))
