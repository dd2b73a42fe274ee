"""The records that a job appends to `events.jsonl` in its run directory, taken in exactly once.

One JSON object per line, the form that Runicorn's tracking library writes. The file belongs to the job: a torn last
line waits for its end, a line that is no record is counted and passed over, a link in its place is no file.
"""

import itertools
import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db import transaction
from django.db.models import F

from training import paths
from training.models import Run, Spool
from training.tracking.job_files import opened_below

# Bytes taken in at once, and the longest line; after so many stretches others have their turn.
AT_ONCE_BYTES, STRETCHES = 1024**2, 8
Record = dict[str, Any]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stretch:
    """Records between two positions of the file, in bytes, and how many lines there were none."""

    start: int
    end: int
    records: list[Record] = field(default_factory=list)
    bad_lines: int = 0


def take_in(run: Run, store: Callable[[list[Record]], object], *, is_over: bool = False) -> int:
    """Give what is new to `store`, in the transaction that notes how far it was read; returns the bytes taken in.

    Two processes may do it at once: what one has taken in the other leaves alone. `is_over`: the job writes no more,
    so everything is read, and a last line without an end is one; otherwise STRETCHES at most.
    """
    taken = 0
    for _ in itertools.count() if is_over else range(STRETCHES):
        spool = Spool.objects.filter(run=run).first() or Spool(run=run)
        stretch = read_stretch(run, spool.offset, is_over=is_over)
        if stretch.end == stretch.start:
            break
        if note_taken(run, stretch, store):
            taken += stretch.end - stretch.start
    return taken


def note_taken(run: Run, stretch: Stretch, store: Callable[[list[Record]], object]) -> bool:
    """False when somebody else has taken these bytes in."""
    with transaction.atomic():
        Spool.objects.get_or_create(run=run)
        mine = Spool.objects.filter(run=run, offset=stretch.start)
        if not mine.update(offset=stretch.end, bad_lines=F("bad_lines") + stretch.bad_lines):
            return False
        store(stretch.records)
    if stretch.bad_lines:
        log.warning("%s: %d lines up to byte %d are no records", run.pk, stretch.bad_lines, stretch.end)
    return True


def has_news(run: Run, offset: int) -> bool:
    """Does the file reach beyond `offset`? One look at the file, none at the database."""
    with opened_below(paths.runs_root(), run.directory / paths.EVENTS_NAME) as file:
        return file is not None and file.size > offset


def read_stretch(run: Run, start: int, *, is_over: bool = False) -> Stretch:
    """Whole lines from `start` on. A line longer than AT_ONCE_BYTES is passed over in pieces."""
    with opened_below(paths.runs_root(), run.directory / paths.EVENTS_NAME) as file:
        data = file.read(start, min(file.size, start + AT_ONCE_BYTES)) if file is not None else b""
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
