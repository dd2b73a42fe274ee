"""The records that a job appends to `events.jsonl` in its run directory, taken in exactly once.

One JSON object per line, the form that Runicorn's tracking library writes. The file belongs to the job: a torn last
line waits for its end, a line that is no record is counted and passed over, a link in its place is no file.
"""

import itertools
import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.conf import settings
from django.db import DataError, transaction
from django.db.models import F

from training import paths
from training.models import Run, Spool
from training.tracking.job_files import opened_in_run

# Bytes taken in at once, and the longest line; after so many stretches others have their turn.
AT_ONCE_BYTES, STRETCHES = 1024**2, 8
Record = dict[str, Any]
# What databases and their drivers raise for text and numbers that they cannot hold.
UNSTORABLE = (DataError, ValueError, OverflowError)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stretch:
    """Records between two positions of the file, in bytes, and how many lines there were none."""

    start: int
    end: int
    records: list[Record] = field(default_factory=list)
    bad_lines: int = 0


@dataclass(frozen=True)
class SpoolFile:
    """A file of records of `run`; `name` is its path relative to the run directory."""

    run: Run
    name: str = paths.EVENTS_NAME

    def row(self) -> Spool:
        """How far it was taken in; a new row, not written, before the first time."""
        return Spool.objects.filter(run=self.run, file=self.name).first() or Spool(run=self.run, file=self.name)

    def __str__(self) -> str:
        return self.run.pk if self.name == paths.EVENTS_NAME else f"{self.run.pk} {self.name}"


def take_in(
    file: SpoolFile, store: Callable[[list[Record]], object], *, is_over: bool = False, within_s: float = 0
) -> bool:
    """Give what is new to `store`, in the transaction that notes how far it was read; True when nothing is left.

    Two processes may do it at once: what one has taken in the other leaves alone. STRETCHES at most are read; with
    `is_over` (the job writes no more, so a last line without an end is one) one at least, and more `within_s`.
    """
    if not has_news(file, 0):  # most runs write none: no query for them
        return True
    deadline = time.monotonic() + within_s
    for count in itertools.count(1):
        stretch = read_stretch(file, file.row().offset, is_over=is_over)
        if stretch.end == stretch.start:
            break
        note_taken(file, stretch, store)
        if (time.monotonic() >= deadline) if is_over else (count == STRETCHES):
            return False
    return True


def note_taken(file: SpoolFile, stretch: Stretch, store: Callable[[list[Record]], object]) -> None:
    """A record that cannot be stored is counted as bad: it must not keep the others out, nor the run from ending."""
    try:
        store_stretch(file, stretch, store)
    except UNSTORABLE as error:
        log.warning("run %s: records that cannot be stored: %s", file, error)
        store_stretch(file, stretch, lambda records: store_one_by_one(file, records, store))


def store_stretch(file: SpoolFile, stretch: Stretch, store: Callable[[list[Record]], object]) -> None:
    """Nothing when somebody else has taken these bytes in."""
    with transaction.atomic():
        Spool.objects.get_or_create(run=file.run, file=file.name)
        mine = Spool.objects.filter(run=file.run, file=file.name, offset=stretch.start)
        if not mine.update(offset=stretch.end, bad_lines=F("bad_lines") + stretch.bad_lines):
            return
        store(stretch.records)
    if stretch.bad_lines:
        log.warning("%s: %d lines up to byte %d are no records", file, stretch.bad_lines, stretch.end)


def store_one_by_one(file: SpoolFile, records: list[Record], store: Callable[[list[Record]], object]) -> None:
    bad_lines = 0
    for record in records:
        try:
            with transaction.atomic():
                store([record])
        except UNSTORABLE:
            bad_lines += 1
    Spool.objects.filter(run=file.run, file=file.name).update(bad_lines=F("bad_lines") + bad_lines)


def has_news(file: SpoolFile, offset: int) -> bool:
    """Does the file reach beyond `offset`? One look at the file, none at the database."""
    with opened_in_run(file.run, file.name) as opened:
        return opened is not None and min(opened.size, settings.LOG_LIMIT_BYTES) > offset


def read_stretch(file: SpoolFile, start: int, *, is_over: bool = False) -> Stretch:
    """Whole lines from `start` on. A line longer than AT_ONCE_BYTES is passed over in pieces.

    What lies beyond the limit of logs is left alone: a file may seem to be endless and hold nothing.
    """
    with opened_in_run(file.run, file.name) as opened:
        end = min(opened.size, start + AT_ONCE_BYTES, settings.LOG_LIMIT_BYTES) if opened is not None else start
        data = opened.read(start, end) if opened is not None and end > start else b""
    end = data.rfind(b"\n") + 1
    if not end and len(data) == AT_ONCE_BYTES:
        return Stretch(start, start + len(data), bad_lines=1)
    if is_over and len(data) < AT_ONCE_BYTES:
        end = len(data)
    lines = [line for line in data[:end].split(b"\n") if line.strip()]
    records = [record for line in lines if (record := parsed(line)) is not None]
    return Stretch(start, start + end, records, len(lines) - len(records))


def parsed(line: bytes) -> Record | None:
    """The object of a line; None when it is none."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:  # also of a bare NaN, which some libraries write
        record = lenient(line)
    return record if isinstance(record, dict) else None


def lenient(line: bytes) -> object:
    """As Python reads JSON: NaN, Infinity and halves of surrogate pairs are taken. None for what is no JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def number(value: object) -> float | None:
    """`value` as a finite number, else None; a boolean is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
