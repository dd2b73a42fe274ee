"""Runs as an archive in the layout of storage roots, which `unpacking` and the original library's users can read."""

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from training import paths
from training.models import Run, RunEnvironment
from training.tracking import metrics
from training.tracking.importers.documents import ENVIRONMENT, META, STATUS, SUMMARY, read_document
from training.tracking.importers.facts import WORDS
from training.tracking.job_files import opened_folder, opened_in_run, root_above
from training.tracking.logs.files import opened_log
from training.tracking.logs.pieces import LogFile
from training.tracking.metrics.table import Table

ROWS_AT_ONCE = 1000
# Up to so much of what a run logged is kept in memory while it is packed.
IN_MEMORY_BYTES = 16 * 1024**2


def pack(runs: Iterable[Run], path: Path) -> int:
    """Write `runs` as a .tar.gz at `path`, which is there whole or not at all; returns how many they were.

    Of each run what the server knows of it, with its numbers as it would show them, its logs and its pictures.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    count = 0
    try:
        with tarfile.open(draft, "w:gz") as archive:
            for count, run in enumerate(runs, 1):  # noqa: B007  the last one is how many there were
                pack_run(run, archive)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return count


def pack_run(run: Run, archive: tarfile.TarFile) -> None:
    folder = f"{paths.segment(run.project)}/{paths.segment(run.name or 'default')}/runs/{run.pk}"
    at = (run.ended_at or run.created_at).timestamp()
    for name, document in documents_of(run).items():
        text = json.dumps(document, indent=2, ensure_ascii=False).encode()
        add(archive, f"{folder}/{name}", io.BytesIO(text), len(text), at)
    with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as records:
        for line in lines_of(run):
            records.write(line)
        size = records.tell()
        records.seek(0)
        if size:
            add(archive, f"{folder}/{paths.EVENTS_NAME}", records, size, at)
    for rank in range(max(run.processes.count(), 1)):
        with opened_log(run, rank) as log:
            add_file(archive, f"{folder}/{paths.log_name(rank)}", log)
    for name in run.media.values_list("name", flat=True):
        with opened_in_run(run, f"{paths.MEDIA_NAME}/{name}") as picture:
            add_file(archive, f"{folder}/{paths.MEDIA_NAME}/{name}", picture)


def add_file(archive: tarfile.TarFile, name: str, file: LogFile | None) -> None:
    """Nothing for one that is not there; of a rotated log what is left of it."""
    if file is not None:
        stretch = Stretch(file)
        add(archive, name, cast(IO[bytes], stretch), file.size - stretch.at, file.facts.st_mtime)


def add(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int, at: float) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, int(at), 0o640
    archive.addfile(info, content)


class Stretch(io.RawIOBase):
    """The bytes that an open file had when it was opened; zeros for those that were cut off since."""

    def __init__(self, file: LogFile) -> None:
        self.file, self.at = file, file.start

    def read(self, size: int = -1) -> bytes:
        end = self.file.size if size < 0 else min(self.at + size, self.file.size)
        data = self.file.read(self.at, end).ljust(end - self.at, b"\0")
        self.at = end
        return data


def documents_of(run: Run) -> dict[str, dict[str, Any]]:
    """What the original library wrote of it stays, where the server does not know better."""
    with opened_folder(root_above(run.directory), run.directory) as folder:
        written = read_document(folder, META) if folder is not None else None
    process = run.processes.filter(rank=0).first()
    meta = {
        **(written or {}), "id": run.pk, "project": run.project, "name": run.name,
        "created_at": run.created_at.timestamp(), "hostname": run.host or (run.node.name if run.node else ""),
        "pid": process.pid if process else None, "tags": run.tags, "description": run.notes,
    }  # fmt: skip
    status = {
        "status": WORDS[run.status], "started_at": seconds(run.started_at), "ended_at": seconds(run.ended_at),
        "exit_reason": run.exit_reason,
    }  # fmt: skip
    found = {META: meta, STATUS: {name: value for name, value in status.items() if value is not None}}
    if run.summary:
        found[SUMMARY] = run.summary
    if environment := RunEnvironment.objects.filter(run=run).first():
        found[ENVIRONMENT] = environment.facts
    return found


def seconds(at: datetime | None) -> float | None:
    return at.timestamp() if at else None


def lines_of(run: Run) -> Iterator[bytes]:
    """Its records: a line for each step that it logged anything at, and one for each picture."""
    rows = metrics.open_rows(run)
    for table in rows.pieces(None, ROWS_AT_ONCE):
        yield from map(line_of, records_of(table))
    for picture in run.media.all():
        data = {"key": picture.key, "path": f"media/{picture.name}", "step": picture.step, "caption": picture.caption}
        yield line_of({"ts": picture.logged_at.timestamp(), "type": "image", "data": data})


def records_of(table: Table) -> Iterator[dict[str, Any]]:
    times = np.where(np.isnan(table.times), None, table.times)  # type: ignore[call-overload]
    for at, step in enumerate(table.steps.tolist()):
        said = {name: value for name, column in table.columns.items() if (value := plain(column[at])) is not None}
        time = {} if times[at] is None else {"time": times[at]}
        yield {"ts": times[at], "type": "metrics", "data": {**said, "global_step": step, **time}}


def plain(value: Any) -> float | str | bool | None:
    """None for a number that is missing, or is none."""
    if isinstance(value, str | bool) or value is None:
        return value
    return None if np.isnan(value) else float(value)


def line_of(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"
