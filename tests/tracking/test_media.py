"""Pictures that runs log become rows, once each, and only those in `media/` of the run."""

import json
from typing import Any

import pytest

from tests.make import make_run
from training.models import Run, RunMedia
from training.tracking import intake

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def run() -> Run:
    return make_run()


def picture(**data: Any) -> dict[str, Any]:
    data = {"key": "sample", "path": "media/1_abcdef_sample.png", "step": 3, "caption": "a cat", **data}
    return {"ts": 1772874911.25, "type": "image", "data": data}


def said(run: Run, *records: object) -> None:
    run.directory.mkdir(parents=True, exist_ok=True)
    with (run.directory / "events.jsonl").open("a") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    intake.take_in(run, is_over=True, within_s=60)


def test_it_keeps_what_was_said_of_a_picture(run: Run) -> None:
    said(run, picture(), {"type": "metrics", "data": {"global_step": 1, "loss": 0.5}})
    row = RunMedia.objects.get()
    assert (row.run, row.name, row.key, row.step, row.caption) == (run, "1_abcdef_sample.png", "sample", 3, "a cat")
    assert row.logged_at.timestamp() == 1772874911.25
    run.refresh_from_db()
    assert run.series.get().count == 1


def test_a_picture_that_is_said_twice_is_one(run: Run) -> None:
    said(run, picture(), picture())
    said(run, picture(caption="again"))
    assert RunMedia.objects.get().caption == "a cat"


@pytest.mark.parametrize(
    "path",
    [
        "media/../secret.png", "media/a/b.png", "/etc/passwd", "media/", "media/..", "other/a.png", "a.png", "", None,
        5, "media/" + "n" * 256, "media/a\ud800.png",
    ],
)  # fmt: skip
def test_a_picture_elsewhere_is_none(path: object, run: Run) -> None:
    said(run, picture(path=path))
    assert not RunMedia.objects.exists()


@pytest.mark.parametrize("step", ["3", True, 1.5, 2**63, None])
def test_a_step_that_is_no_whole_number_is_none(step: object, run: Run) -> None:
    said(run, picture(step=step, key=["a"], caption=7))
    row = RunMedia.objects.get()
    assert (row.step, row.key, row.caption) == (None, "", "")
