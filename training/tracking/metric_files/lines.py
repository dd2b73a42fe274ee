"""JSON lines that hold numbers: each object is a row, numbers under their names, whatever wrote them."""

from typing import Any

from training.tracking.logs.pieces import LogFile
from training.tracking.metric_files.piece import AT_ONCE_BYTES, MOST_SETS, Piece, Place, Record, metrics_record
from training.tracking.metrics.events import HIGHEST_STEP, LOWEST_STEP
from training.tracking.spool import parsed

# Of the first that is a whole number; the others are metrics like any number.
STEP_NAMES = ("global_step", "step", "_step", "iteration", "iter", "global_iteration")
TIME_NAMES = ("time", "timestamp", "_timestamp", "wall_time", "ts")
# What can be an instant of our days: seconds since 1970, or milliseconds.
EARLIEST_S, LATEST_S = 5e8, 5e10


def read(file: LogFile, place: Place) -> Piece:
    """Whole lines. One that is longer than a piece is passed over."""
    data = file.read(place.offset, min(file.size, place.offset + AT_ONCE_BYTES))
    length = whole_lines(data, AT_ONCE_BYTES, is_over=place.is_over)
    lines = [line for line in data[:length].split(b"\n") if line.strip()]
    objects = [found for line in lines if (found := parsed(line)) is not None]
    piece = piece_of([(found, None) for found in objects], place, place.offset + length)
    return Piece(piece.end, piece.records, len(lines) - len(objects), piece.problem)


def whole_lines(data: bytes, limit: int, *, is_over: bool) -> int:
    """Length of the whole lines in `data`, of which at most `limit` bytes were read.

    All of it when a line is longer than that, or `is_over` and the last line has no end.
    """
    length = data.rfind(b"\n") + 1
    is_full = len(data) == limit
    return len(data) if (is_full and not length) or (is_over and not is_full) else length


def piece_of(rows: list[tuple[Record, float | None]], place: Place, end: int) -> Piece:
    """Of objects, each with the instant at which it was written where that is known."""
    records: list[Record] = []
    for found, written_at in rows:
        if record := record_of(found, place.rows + len(records) + 1, written_at):
            records.append(record)
    if len({tuple(record["data"]) for record in records}) > MOST_SETS:
        return Piece(end, problem=f"more than {MOST_SETS} different sets of names: this is data, and no metrics")
    return Piece(end, records)


def record_of(found: Record, row: int, written_at: float | None = None) -> Record | None:
    """The numbers of an object; None without any. `row` and `written_at` are step and time where none is said."""
    step_name = next((name for name in STEP_NAMES if is_step(found.get(name))), None)
    time_name = next((name for name in TIME_NAMES if instant(found.get(name)) is not None), None)
    values = {name: value for name, value in flat(found) if name not in (step_name, time_name)}
    step = row if step_name is None else int(found[step_name])
    time = instant(found[time_name]) if time_name else None if "time" in values else written_at
    record = metrics_record(step, time, values)
    return record if values.keys() - {"epoch", "step", "time", "global_step"} else None


def flat(found: Record) -> list[tuple[str, float]]:
    """Numbers by name; of an object in the object as `outer/inner`, and nothing of what lies deeper."""
    values: list[tuple[str, float]] = []
    for name, value in found.items():
        if is_number(value):
            values.append((name, value))
        elif isinstance(value, dict):
            values += [(f"{name}/{inner}", number) for inner, number in value.items() if is_number(number)]
    return values


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_step(value: Any) -> bool:
    return is_number(value) and LOWEST_STEP <= value <= HIGHEST_STEP and value == int(value)


def instant(value: Any) -> float | None:
    """Seconds since 1970."""
    if not is_number(value):
        return None
    if EARLIEST_S <= value <= LATEST_S:
        return float(value)
    return value / 1000 if EARLIEST_S * 1000 <= value <= LATEST_S * 1000 else None
