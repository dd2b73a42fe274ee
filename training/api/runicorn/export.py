"""R51, R72: a run as a file: JSON, CSV, or an archive of either with its pictures."""

from collections.abc import Iterator
from typing import cast

import orjson
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers as s
from rest_framework.request import Request

from mlserver.accounts.scopes import Scope
from mlserver.api.reading import Row
from mlserver.api.rendering import to_json
from mlserver.api.runicorn_view import RunicornView
from mlserver.api.text_answers import attachment, text_answer
from mlserver.api.zip_answers import Entry, zipped
from mlserver.errors import Invalid, NotFound, shown
from training import paths
from training.api.runicorn.lookup import find_run
from training.api.runicorn.metric_rows import Shown, by_step
from training.api.runicorn.row_text import csv_header, csv_rows
from training.api.runicorn.run_json import read_run
from training.api.runicorn.schemas import RUN, TAGS, RunExport
from training.api.runicorn.series import series_text
from training.models import Run
from training.models.run import DIRECTORY_COLUMNS
from training.tracking import metrics
from training.tracking.job_files import opened_in_run

FORMATS = {"json": "application/json", "csv": "text/csv; charset=utf-8"}
ZIP = "application/zip"
BLOCK_BYTES = 256 * 1024


class ExportBody(s.Serializer[Row]):
    run_id = s.CharField()
    format = s.ChoiceField(list(FORMATS), default="json")
    include_media = s.BooleanField(default=False, help_text="an archive with the pictures of the run, too")


class Export(RunicornView):
    # A read, although a body says of what.
    required_scope = Scope.READ.value

    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_export",
        summary="Export a run",
        description="`json`: the run as `GET /api/runs/{run_id}` shows it, with its numbers under `metrics` as "
        "`GET /api/metrics/{run_id}` has them. `csv`: one line for each step. With `include_media` a ZIP archive "
        "of that and of the pictures, with `media.json` that says what they are.",
        request=ExportBody,
        responses={
            (200, "application/json"): RunExport,
            (200, "text/csv"): OpenApiResponse(bytes),
            (200, ZIP): OpenApiResponse(bytes),
        },
    )
    def post(self, request: Request) -> HttpResponseBase:
        """R51."""
        run_id, form, has_media = export_of(request)
        run = find_run(run_id, *DIRECTORY_COLUMNS, "created_at")
        chosen = shown_of(run)
        text = json_text(run, chosen.rows) if form == "json" else csv_text(chosen)
        if has_media:
            archive = zipped(entries(run, form, text), run.created_at)
            return text_answer(archive, ZIP, is_short=False, headers=attachment(f"{run.pk}.zip"))
        headers = attachment(f"{run.pk}.{form}")
        return text_answer(text, FORMATS[form], is_short=chosen.is_short, headers=headers)


class CsvFile(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_export_csv",
        summary="Metrics of a run as CSV",
        description="One line for each step; 404 for a run that logged none. Text that a spreadsheet would take for a "
        "formula begins with an apostrophe.",
        parameters=[RUN],
        responses={(200, "text/csv"): OpenApiResponse(bytes)},
    )
    def get(self, request: Request, run_id: str) -> HttpResponseBase:
        """R72."""
        run = find_run(run_id, "pk")
        chosen = shown_of(run)
        if not len(chosen):
            raise NotFound(f"Run {run.pk} has logged no metrics")
        headers = attachment(f"{run.pk}.csv")
        return text_answer(csv_text(chosen), FORMATS["csv"], is_short=chosen.is_short, headers=headers)


def export_of(request: Request) -> tuple[str, str, bool]:
    """Run id, format, and whether with its pictures; raises Invalid."""
    body = cast(Row, request.data)  # the parser takes nothing but objects
    run_id, form, has_media = body.get("run_id"), body.get("format", "json"), body.get("include_media", False)
    if not isinstance(run_id, str):
        raise Invalid.field("run_id", f"{shown(run_id)} must be the id of a run")
    if not isinstance(form, str) or form not in FORMATS:
        raise Invalid.field("format", f"{shown(form)} must be one of {', '.join(FORMATS)}")
    if not isinstance(has_media, bool):
        raise Invalid.field("include_media", f"{shown(has_media)} must be true or false")
    return run_id, form, has_media


def shown_of(run: Run) -> Shown:
    return by_step(metrics.open_rows(run), None)


def json_text(run: Run, rows: metrics.RunRows) -> Iterator[bytes]:
    about = {name: value for name, value in read_run(run.pk).items() if name != "metrics"}
    yield to_json(about)[:-1] + b',"run_id":' + to_json(run.pk) + b',"metrics":'
    yield from series_text(rows, None, is_asked=False)
    yield b"}"


def csv_text(chosen: Shown) -> Iterator[bytes]:
    if chosen.columns:
        yield csv_header(chosen.columns)
    yield from map(csv_rows, chosen.pieces())


def entries(run: Run, form: str, text: Iterator[bytes]) -> Iterator[Entry]:
    pictures = list(run.media.values("name", "key", "step", "caption"))
    yield Entry(f"{run.pk}.{form}", text)
    yield Entry("media.json", iter([orjson.dumps(pictures, option=orjson.OPT_INDENT_2)]))
    for picture in pictures:
        path = f"{paths.MEDIA_NAME}/{picture['name']}"
        with opened_in_run(run, path) as file:
            if file is not None:  # the job may have removed it
                blocks = range(0, file.size, BLOCK_BYTES)
                pieces = (file.read(at, min(at + BLOCK_BYTES, file.size)) for at in blocks)
                yield Entry(path, pieces, is_packed=False)
