"""docs/training.md says what is true: its curl calls are made, its answers compared."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.datasets import stored_dataset
from tests.docs.curl import CALL, call
from tests.make import make_epoch, make_key, make_node, make_session, make_task, make_user
from tests.registry.contents import published
from training.models.session import SessionState
from training.sessions import RULES
from training.trainer.catalog import ARCHITECTURES, LOSS_FUNCTIONS, OPTIMIZERS

pytestmark = pytest.mark.django_db

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
WEIGHTS = b"weights of a net"


@pytest.fixture(autouse=True)
def stores(home: Path, settings: Any) -> None:
    settings.MODELS_DIR, settings.DATASETS_DIR = home / "models", home / "datasets"


@pytest.fixture
def variables(home: Path) -> dict[str, str]:
    owner = make_user()
    make_node("box")
    for name in ("digits", "iris"):
        stored_dataset(name)
    published("simple_cnn_digits", WEIGHTS, owner=owner)
    (home / "weights.pth").write_bytes(b"mine")
    write_pets(home / "pets.zip")
    ended = make_session(task=make_task(owner, status="completed"))
    make_epoch(ended, 1)
    running = make_session(task=make_task(owner, status="active", pending_runs=0))
    queued = make_session(task=make_task(owner, gpus=9))
    return {"SERVER": "", "KEY": make_key(owner), "RUNNING": running.pk, "QUEUED": queued.pk, "ID": ended.pk}


def write_pets(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("cat/1.png", "dog/1.png"):
            picture = io.BytesIO()
            Image.new("RGB", (8, 8)).save(picture, "PNG")
            archive.writestr(name, picture.getvalue())


@pytest.mark.process
def test_it_gives_calls_that_are_answered_as_it_says(variables: dict[str, str], home: Path) -> None:
    calls = CALL.findall(PAGE)
    assert len(calls) == len(re.findall(r"^curl ", PAGE, re.MULTILINE))
    for status, line in calls:
        answer = call(line, variables, home)
        assert answer.status_code == int(status), (line, getattr(answer, "content", b""))
    assert (home / "simple_cnn_digits.pth").read_bytes() == WEIGHTS


def test_it_calls_every_row_of_the_document() -> None:
    called = {
        re.sub(r"\$(ID|RUNNING|QUEUED)|/(simple_cnn_digits|mine|digits)$", "/X", line) for _, line in CALL.findall(PAGE)
    }
    paths = {re.search(r"\$SERVER([^\s\"?]*)", line)[1] for line in called}  # type: ignore[index]
    names = ("stop", "status", "metrics", "history", "logs")
    assert {re.sub("/+", "/", path) for path in paths} == {
        "/health", "/", "/api/v1/training/start", *(f"/api/v1/training/X/{name}" for name in names),
        "/api/v1/training/sessions", "/api/v1/training/queue", "/api/v1/training/queue/X", "/api/v1/system/info",
        "/api/v1/models", "/api/v1/models/X", "/api/v1/datasets", "/api/v1/datasets/X",
    }  # fmt: skip


def shown(first_key: str) -> list[dict[str, Any]]:
    """The JSON answers of the page that begin with this member."""
    found = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    return [answer for answer in found if next(iter(answer)) == first_key]


def test_it_shows_the_answers_that_are_given(variables: dict[str, str]) -> None:
    started, status, epoch = shown("session_id")
    lines = {re.sub(r".*/", "", line.split("?")[0].strip('"')): line for _, line in CALL.findall(PAGE)}
    start = next(line for status, line in CALL.findall(PAGE) if "/training/start" in line and status == "200")
    said = call(start, variables).json()
    assert said | {"session_id": started["session_id"]} == started
    assert list(call(lines["status"], variables).json()) == list(status)
    assert list(call(lines["metrics"], variables).json()) == list(epoch)


def test_it_shows_the_refusal_that_is_given(variables: dict[str, str]) -> None:
    (refusal,) = shown("detail")
    line = next(line for status, line in CALL.findall(PAGE) if status == "422")
    assert call(line, variables).json() == refusal


def test_it_names_every_field_word_and_state() -> None:
    rows = [row.split("|") for row in PAGE.splitlines() if row.startswith("| `")]
    cells = {re.findall(r"`(.*?)`", row[1])[0]: row[2] for row in rows}
    assert set(RULES) | set(SessionState.values) <= set(cells)
    assert re.findall(r"`(.*?)`", cells["model_architecture"])[0].split() == list(ARCHITECTURES)
    assert re.findall(r"`(.*?)`", cells["optimizer"])[0].split() == list(OPTIMIZERS)
    assert re.findall(r"`(.*?)`", cells["loss_function"]) == [
        *("cross_entropy", "bce"), *(word for word in LOSS_FUNCTIONS if word in ("mse", "mae")),
    ]  # fmt: skip
