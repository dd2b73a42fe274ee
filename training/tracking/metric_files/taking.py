"""Take in what metric files say, each row once: how far a file was read is written with what it brought."""

import logging
import time
from contextlib import AbstractContextManager

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from training.models import Event, MetricFile, Run
from training.tracking import metrics
from training.tracking.job_files import opened_in_run
from training.tracking.logs.files import opened_log
from training.tracking.logs.pieces import LogFile
from training.tracking.metric_files import events, lines, output
from training.tracking.metric_files.find import OUTPUT_NAME, Memory, is_event_file, prefix_of
from training.tracking.metric_files.piece import Piece, Place
from training.tracking.spool import UNSTORABLE

# Nothing written for so long: what was written together is there.
SETTLED_S = 2.0
# Output without metrics that is searched again at most, by another process or after a restart.
SEARCHED_AGAIN_BYTES = 4 * 1024**2

log = logging.getLogger(__name__)


def take_in(run: Run, memory: Memory | None = None, *, is_over: bool = False, within_s: float = 0) -> bool:
    """Take in what is new in the files of a run, a piece of each at least; True when nothing is left.

    Two processes may do it at once: what one has taken in the other leaves alone. No query without news. `is_over`:
    nothing more will be written, so all of it counts.
    """
    memory, deadline = memory or Memory(), time.monotonic() + within_s
    memory.served_at = time.monotonic()
    news = memory.news(run)
    if not news:
        return True
    known = {row.name: row for row in MetricFile.objects.filter(run=run)}
    for name in news:
        if name not in known:
            known[name] = MetricFile(run=run, name=name, prefix=prefix_of(name, known.values()))
    return all([take_in_file(run, known[name], memory, deadline, is_over=is_over) for name in news])


def take_in_file(run: Run, row: MetricFile, memory: Memory, deadline: float, *, is_over: bool) -> bool:
    """True when nothing is left of this file."""
    at = max(row.offset, memory.passed.get(row.name, 0))
    while not row.problem:
        with opened(run, row.name) as file:
            if file is None:
                return True
            size, at = file.size, max(at, file.start)
            is_settled = time.time() - file.facts.st_mtime > SETTLED_S
            piece = read(run, file, row, Place(at, row.rows, row.prefix, is_over, is_settled))
        if piece.end <= at and not piece.problem:
            if is_settled or is_over:
                memory.done[row.name] = size
            return True
        if is_worth_noting(row, piece) and not note(run, row, piece):
            memory.passed.pop(row.name, None)
            return False  # somebody else did: they or the next look go on
        at = memory.passed[row.name] = piece.end
        if time.monotonic() >= deadline:
            return False
    memory.done[row.name] = 2**63  # nothing more is read of it, however it grows
    return True


def opened(run: Run, name: str) -> AbstractContextManager[LogFile | None]:
    return opened_log(run, 0) if name == OUTPUT_NAME else opened_in_run(run, name)


def read(run: Run, file: LogFile, row: MetricFile, place: Place) -> Piece:
    if row.name == OUTPUT_NAME:
        return output.read(file, place, run)
    return events.read(file, place) if is_event_file(row.name) else lines.read(file, place)


def is_worth_noting(row: MetricFile, piece: Piece) -> bool:
    """Most output is no metrics: passing it over is written down only now and then."""
    has_news = bool(piece.records or piece.bad_records or piece.problem)
    return has_news or row.name != OUTPUT_NAME or piece.end - row.offset >= SEARCHED_AGAIN_BYTES


def note(run: Run, row: MetricFile, piece: Piece) -> bool:
    """Store a piece and how far it goes; False when somebody else has taken these bytes in."""
    try:
        return store(run, row, piece)
    except UNSTORABLE as error:
        log.warning("run %s: records of %s that cannot be stored: %s", run.pk, row.name, error)
        return store(run, row, Piece(piece.end, bad_records=piece.bad_records + len(piece.records)))


def store(run: Run, row: MetricFile, piece: Piece) -> bool:
    with transaction.atomic():
        MetricFile.objects.get_or_create(run=run, name=row.name, defaults={"prefix": row.prefix})
        changed = MetricFile.objects.filter(run=run, name=row.name, offset=row.offset, problem="").update(
            offset=piece.end,
            rows=F("rows") + len(piece.records),
            bad_records=F("bad_records") + piece.bad_records,
            problem=piece.problem,
        )
        if not changed:
            return False
        if piece.problem:
            said = f"{row.name}: {piece.problem}; nothing more is read of it"
            Event.objects.say("MetricsUnreadable", said, run=run, is_warning=True)
        if metrics.append(run.pk, metrics.batches_of(piece.records)):
            Run.objects.filter(pk=run.pk).update(updated_at=timezone.now())
    row.offset, row.rows, row.problem = piece.end, row.rows + len(piece.records), piece.problem
    return True
