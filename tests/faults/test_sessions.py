"""Training sessions while the server dies, is stopped and comes back: nothing is lost, nothing is counted twice."""

import io
import os
import signal
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.faults.counting import ended_task, get, processes_of, runs_of
from tests.serving import RunningServer
from tests.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

# Single samples make a small network slow: an epoch of 1,437 digits lasts about a second.
SLOW = {"batch_size": 1, "epochs": 12, "learning_rate": 0.001}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    # Room for one session per core gives each one thread: threads that share a core wait for each other.
    env = {"MLSERVER_DEMO": "0", "MAX_CONCURRENT_SESSIONS": str(os.cpu_count() or 1)}
    with RunningServer(tmp_path / "home", env=env) as running:
        yield running.start()


def start(server: RunningServer, *, within_s: float = 20, **fields: Any) -> str:
    """Id of a new session: mlp on digits, unless `fields` say otherwise. The sets are there soon after the start."""
    body = {"model_architecture": "mlp", "dataset_name": "digits", **SLOW, **fields}

    def ask() -> httpx.Response | None:
        answer = server.api.post("/api/v1/training/start", json=body)
        return answer if answer.status_code == 200 else None

    answer = until(ask, within_s=within_s, what="session started")
    session_id: str = answer.json()["session_id"]
    return session_id


def status(server: RunningServer, session_id: str) -> dict[str, Any]:
    return get(server, f"/api/v1/training/{session_id}/status")


def history(server: RunningServer, session_id: str) -> list[dict[str, Any]]:
    answer = server.api.get(f"/api/v1/training/{session_id}/history")
    rows: list[dict[str, Any]] = answer.json()
    return rows


def reached(server: RunningServer, session_id: str, epoch: int) -> None:
    """Waits until this many epochs are told."""
    until(lambda: len(history(server, session_id)) >= epoch, within_s=100, what=f"epoch {epoch} of {session_id}")


def ended(server: RunningServer, session_id: str) -> dict[str, Any]:
    states = ("completed", "failed", "stopped")

    def look() -> dict[str, Any] | None:
        said = status(server, session_id)
        return said if said["state"] in states and said["end_time"] else None

    return until(look, within_s=120, what=f"{session_id} ended")


def task_of(server: RunningServer) -> int:
    task_id: int = get(server, "/api/v1/tasks?source=training")["results"][0]["id"]
    return task_id


def model_names(server: RunningServer) -> list[str]:
    return [model["name"] for model in server.api.get("/api/v1/models").json()]


def checkpoint(server: RunningServer, session_id: str) -> Path:
    return server.home / "sessions" / session_id / "checkpoint.pt"


def test_a_session_outlives_two_deaths_of_the_server_and_is_counted_once(server: RunningServer) -> None:
    session_id = start(server)
    for epoch in (1, 4):
        reached(server, session_id, epoch)
        server.kill9("serve")
        server.start()
    assert ended(server, session_id) == {
        **status(server, session_id), "state": "completed", "current_epoch": 12, "error_message": None,
    }  # fmt: skip
    assert [row["epoch"] for row in history(server, session_id)] == list(range(1, 13))
    task = ended_task(server, task_of(server))
    assert (task["runs_completed"], task["runs_failed"], len(runs_of(server, task["id"]))) == (1, 0, 1)
    assert model_names(server) == ["mlp_digits"]
    assert not checkpoint(server, session_id).exists()


def test_the_end_of_a_session_outlives_the_death_of_every_process(server: RunningServer) -> None:
    """serve dies around the moment in which the weights are registered; the next one registers them, once."""
    for number, delay_s in enumerate((0.0, 0.1, 0.3), start=1):
        session_id = start(server, epochs=1, batch_size=64)
        until(lambda: (control_of_newest(server) / "exit.json").exists(), within_s=60, what="exit record")
        time.sleep(delay_s)
        server.kill9("serve")
        server.start()
        assert ended(server, session_id)["state"] == "completed"
        versions = server.manage("shell", "-c", COUNT_VERSIONS).stdout.split()
        assert versions[-1] == str(number)


COUNT_VERSIONS = (
    "from registry.models import ArtifactVersion as V; print(V.objects.filter(artifact__type='model').count())"
)


def control_of_newest(server: RunningServer) -> Path:
    return server.home / "control" / runs_of(server, task_of(server))[0]["id"]


def test_a_stopped_session_keeps_its_checkpoint_and_goes_on_from_it_when_it_is_retried(server: RunningServer) -> None:
    session_id = start(server, epochs=6)
    reached(server, session_id, 2)
    assert server.api.post(f"/api/v1/training/{session_id}/stop").status_code == 200
    assert status(server, session_id)["state"] == "stopped"
    task = ended_task(server, task_of(server))
    assert task["status"] == "stopped"
    assert checkpoint(server, session_id).exists()
    assert model_names(server) == []
    done = len(history(server, session_id))
    assert server.api.post(f"/api/v1/tasks/{task['id']}/retry").status_code == 200
    assert ended(server, session_id)["state"] == "completed"
    assert [row["epoch"] for row in history(server, session_id)] == list(range(1, 7))
    second, first = runs_of(server, task["id"])
    assert first["summary"]["loss"]["count"] == done
    assert second["summary"]["loss"]["count"] == 6 - done
    assert model_names(server) == ["mlp_digits"]


def test_a_trainer_that_is_killed_fails_its_session_with_the_reason(server: RunningServer) -> None:
    session_id = start(server)
    reached(server, session_id, 1)
    (run,) = runs_of(server, task_of(server))
    for pid in processes_of(run["id"]):
        os.kill(pid, signal.SIGKILL)
    said = ended(server, session_id)
    assert (said["state"], said["error_message"]) == ("failed", "ended by SIGKILL")
    assert model_names(server) == []


def test_a_session_on_an_uploaded_image_folder_completes(server: RunningServer) -> None:
    answer = server.api.post(
        "/api/v1/datasets?dataset_name=shapes", files={"file": ("shapes.tar.gz", image_folder(), "application/gzip")}
    )
    assert answer.status_code == 200, answer.text
    facts = get(server, "/api/v1/datasets/shapes")
    assert (facts["format"], facts["sample_count"], facts["dimensions"]) == ("images", 80, "16x16x3")
    session_id = start(
        server, model_architecture="simple_cnn", dataset_name="shapes", epochs=8, batch_size=8, learning_rate=0.003
    )
    assert ended(server, session_id)["error_message"] is None
    assert history(server, session_id)[-1]["val_accuracy"] >= 0.9
    assert model_names(server) == ["simple_cnn_shapes"]


def image_folder() -> bytes:
    """Eighty pictures in two folders: squares that are more red and squares that are more blue."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for number in range(40):
            for name, colour in (("red", (200, number, 30)), ("blue", (30, number, 200))):
                picture = io.BytesIO()
                Image.new("RGB", (16, 16), colour).save(picture, "PNG")
                member = tarfile.TarInfo(f"train/{name}/{number}.png")
                member.size = picture.tell()
                picture.seek(0)
                archive.addfile(member, picture)
    return packed.getvalue()
