"""Pictures of a run as the native API shows them."""

from django.urls import reverse

from mlserver.api.reading import Row
from training import paths
from training.models import Run
from training.tracking import pictures
from training.tracking.job_files import OpenFile, opened_at, opened_folder, root_above

COLUMNS = ("name", "key", "step", "caption", "logged_at")


def render_media(run: Run, rows: list[Row]) -> list[Row]:
    """With what the files say of themselves; no query."""
    path = run.directory / paths.MEDIA_NAME
    with opened_folder(root_above(path), path) as folder:
        return [{**_facts(folder, row["name"]), **row, "url": _url(run, row["name"])} for row in rows]


def _facts(folder: int | None, name: str) -> Row:
    if folder is None:
        return {"type": None, "size_bytes": None}
    with opened_at(folder, name) as file:
        return {"type": type_of(file) if file else None, "size_bytes": file.size if file else None}


def type_of(file: OpenFile) -> str | None:
    return pictures.kind_of(file.read(0, pictures.HEAD_BYTES))


def _url(run: Run, name: str) -> str:
    return reverse("run-medium", args=[run.pk, name])
