"""Pictures that runs log, from the records that the SDKs write; the files lie in `media/` of the run directory."""

from datetime import datetime
from pathlib import PurePosixPath

from mlserver.text import storable
from training import paths
from training.models import Run, RunMedia
from training.tracking import spool
from training.tracking.instants import instant

NAME_LENGTH, CAPTION_LENGTH = 255, 10_000
HIGHEST_STEP = 2**63 - 1


def store(run: Run, records: list[spool.Record]) -> int:
    """A row for each picture among `records` that has none yet; returns how many there were."""
    rows = [row for record in records if (row := row_of(run, record)) is not None]
    RunMedia.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def row_of(run: Run, record: spool.Record) -> RunMedia | None:
    """None for a record of another type, or one whose file would lie elsewhere."""
    data = record.get("data")
    if record.get("type") != "image" or not isinstance(data, dict):
        return None
    name = file_name(data.get("path"))
    if name is None:
        return None
    key, caption = text(data.get("key")), text(data.get("caption"))
    return RunMedia(
        run=run,
        name=name,
        key=key[:NAME_LENGTH],
        step=step(data.get("step")),
        caption=caption[:CAPTION_LENGTH],
        logged_at=logged_at(record),
    )


def file_name(path: object) -> str | None:
    """`media/<name>` as a name; None for any other path, and for names that no database holds."""
    if not isinstance(path, str) or path != storable(path):
        return None
    folder, _, name = path.partition("/")
    is_name = folder == paths.MEDIA_NAME and PurePosixPath(name).name == name and name not in ("", ".", "..")
    return name if is_name and len(name) <= NAME_LENGTH else None


def text(value: object) -> str:
    return storable(value) if isinstance(value, str) else ""


def step(value: object) -> int | None:
    is_step = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= HIGHEST_STEP
    return value if is_step else None  # type: ignore[return-value]  # is_step says so


def logged_at(record: spool.Record) -> datetime:
    return instant(record.get("ts"))
