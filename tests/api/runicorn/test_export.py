"""POST /api/export (R51) and GET /api/export/{run_id}/csv (R72)."""

import csv
import io
import math
import zipfile
from typing import Any

import pytest
from django.test import Client

from tests.api.runicorn.refusals import MALFORMED, UNKNOWN, assert_refuses_other_runs
from tests.metrics import log
from training.models import Run, RunMedia

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]
PNG = b"\x89PNG" + bytes(range(256)) * 3000


@pytest.fixture
def logged(run) -> Run:
    log(
        run,
        {"global_step": 1, "loss": 0.5, "time": 10.0, "stage": "train"},
        {"global_step": 2, "loss": math.nan, "time": 11.5, "stage": '=HYPERLINK("http://x")', "-x": -1.5},
        {"global_step": 3, "loss": 1e-300, "time": 12.0, "stage": 'a "b",\nc', "ok": True},
    )
    return run


def export(client: Client, body: dict[str, Any]):
    return client.post("/api/export", body, content_type="application/json")


def lines(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


CSV = [
    ["global_step", "'-x", "loss", "ok", "stage", "time"],
    ["1", "", "0.5", "", "train", "10.0"],
    ["2", "-1.5", "", "", '\'=HYPERLINK("http://x")', "11.5"],
    ["3", "", "1e-300", "true", 'a "b",\nc', "12.0"],
]


def test_it_exports_json(client, logged):
    answer = export(client, {"run_id": logged.pk})
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer["Content-Disposition"] == f'attachment; filename="{logged.pk}.json"'
    run = client.get(f"/api/runs/{logged.pk}").json()
    series = client.get(f"/api/metrics/{logged.pk}").json()
    assert answer.json() == run | series
    assert series["metrics"]["-x"] == [{"step": 2, "value": -1.5, "timestamp": 11.5}]


@pytest.mark.parametrize("path", ["/api/export", "/api/export/{}/csv"])
def test_it_exports_csv_in_which_no_text_is_a_formula(path, client, logged):
    if path == "/api/export":
        answer = export(client, {"run_id": logged.pk, "format": "csv", "include_media": False})
    else:
        answer = client.get(path.format(logged.pk))
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert answer["Content-Disposition"] == f'attachment; filename="{logged.pk}.csv"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert lines(answer.content) == CSV


def test_it_exports_nothing_of_an_empty_run(client, run):
    assert export(client, {"run_id": run.pk}).json()["metrics"] == {}
    assert export(client, {"run_id": run.pk, "format": "csv"}).content == b""
    answer = client.get(f"/api/export/{run.pk}/csv")
    assert (answer.status_code, answer.json()) == (404, {"detail": f"Run {run.pk} has logged no metrics"})


def test_it_exports_pictures_in_an_archive(client, logged):
    folder = logged.directory / "media"
    folder.mkdir(parents=True)
    (folder / "one.png").write_bytes(PNG)
    (logged.directory / "secret").write_text("secret")
    (folder / "link.png").symlink_to(logged.directory / "secret")
    for name in ("one.png", "link.png", "gone.png"):
        RunMedia.objects.create(run=logged, name=name, key="sample", step=2, caption="a picture")
    for form, text in (("csv", None), ("json", None)):
        answer = export(client, {"run_id": logged.pk, "format": form, "include_media": True})
        assert (answer.status_code, answer["Content-Type"], answer.streaming) == (200, "application/zip", True)
        assert answer["Content-Disposition"] == f'attachment; filename="{logged.pk}.zip"'
        with zipfile.ZipFile(io.BytesIO(answer.getvalue())) as archive:
            assert archive.testzip() is None
            assert archive.namelist() == [f"{logged.pk}.{form}", "media.json", "media/one.png"]
            assert archive.read("media/one.png") == PNG
            text = archive.read(f"{logged.pk}.{form}")
            assert lines(text) == CSV if form == "csv" else text == export(client, {"run_id": logged.pk}).content
            assert b'"caption": "a picture"' in archive.read("media.json")


def test_an_archive_is_made_in_pieces(client, logged):
    folder = logged.directory / "media"
    folder.mkdir(parents=True)
    (folder / "large.png").write_bytes(PNG * 4)
    RunMedia.objects.create(run=logged, name="large.png", key="large")
    answer = export(client, {"run_id": logged.pk, "include_media": True})
    assert max(len(piece) for piece in answer.streaming_content) < 300_000


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "run_id"),
        ({"run_id": 5}, "run_id"),
        ({"run_id": UNKNOWN, "format": "excel"}, "format"),
        ({"run_id": UNKNOWN, "format": None}, "format"),
        ({"run_id": UNKNOWN, "format": ["csv"]}, "format"),
        ({"run_id": UNKNOWN, "include_media": "yes"}, "include_media"),
    ],
)
def test_returns_400_when_the_body_is_refused(body, field, client):
    answer = export(client, body)
    assert (answer.status_code, list(answer.json())) == (400, ["detail"])
    assert field in answer.json()["detail"]


def test_it_refuses_bodies_that_are_no_json(client):
    assert client.post("/api/export", "{", content_type="application/json").status_code == 400
    assert client.post("/api/export", {"run_id": UNKNOWN}).status_code == 415


def test_returns_404_400_and_401_like_other_rows(client):
    assert export(client, {"run_id": UNKNOWN}).status_code == 404
    assert [export(client, {"run_id": it}).status_code for it in MALFORMED] == [400] * len(MALFORMED)
    assert export(Client(), {"run_id": UNKNOWN}).status_code == 401
    assert_refuses_other_runs(client, "/api/export/{}/csv")


def test_csv_asks_the_database_little(client, logged, django_assert_num_queries):
    client.get(f"/api/export/{logged.pk}/csv")
    with django_assert_num_queries(3):
        client.get(f"/api/export/{logged.pk}/csv")
