"""Read the groups of a run: all columns or some, all rows or those of some steps, or what is new."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import BinaryField, F
from django.db.models.functions import Substr

from training.models import MetricChunk, MetricGroup
from training.tracking.metrics import words
from training.tracking.metrics.batch import Floats, Kind
from training.tracking.metrics.chunks import VALUE_BYTES
from training.tracking.metrics.table import Column, Rows
from training.tracking.metrics.words import Objects

StepRange = tuple[int, int]
# More pieces of a blob than this are not worth it: SQLite goes through the blob for each.
MOST_PIECES = 8


@dataclass(frozen=True)
class Group:
    """A group as far as a reader goes: its first `rows` rows, whatever is appended meanwhile."""

    pk: int
    rows: int
    columns: list[tuple[str, str]]

    @property
    def size_bytes(self) -> int:
        return self.rows * VALUE_BYTES * (2 + len(self.columns))


@dataclass(frozen=True)
class Selection:
    """What to read of each group: `names` None is every column, `since` the rows that are known already."""

    names: Collection[str] | None = None
    steps: StepRange | None = None
    since: Mapping[int, int] | None = None

    def wanted(self, group: Group) -> list[int]:
        """Places of the columns, ascending."""
        return [at for at, (name, _) in enumerate(group.columns) if self.names is None or name in self.names]


def groups_of(run_id: str, *, stream: str = "") -> list[Group]:
    """Those of what the script says, or of another stream."""
    rows = MetricGroup.objects.filter(run_id=run_id, stream=stream).order_by("pk").values_list("pk", "rows", "columns")
    return [Group(*row) for row in rows]


def read_groups(run_id: str, groups: list[Group], selection: Selection) -> list[Rows]:
    """The rows of each group, and of them the wanted columns; one query for each group that has news."""
    known = selection.since or {}
    grown = [group for group in groups if group.rows > known.get(group.pk, 0)]
    has_words = any(group.columns[at][1] == Kind.WORD for group in grown for at in selection.wanted(group))
    dictionary = words.dictionary(run_id) if has_words else None
    return [read_group(group, selection, dictionary, is_alone=len(groups) == 1) for group in grown]


def read_group(group: Group, selection: Selection, dictionary: Objects | None, *, is_alone: bool) -> Rows:
    """A group that stands alone needs no orders: within it, rows are in the order they were said."""
    wanted = selection.wanted(group)
    begin = (selection.since or {}).get(group.pk, 0)
    chunks: Iterable[Chunk] = chunks_of(group, selection, wanted, needs_orders=not is_alone)
    most = group.rows - begin
    if selection.steps is not None:  # few, as a rule: room for all rows of a wide group would cost more than they do
        chunks = list(chunks)
        most = min(most, sum(chunk.rows for chunk in chunks))
    steps = np.empty(most, np.int64)
    orders = None if is_alone else np.empty(most, np.int64)
    times, values = np.empty(most), np.empty((len(wanted), most))
    filled, is_ascending = 0, True
    for chunk in chunks:
        part = slice(max(0, begin - chunk.number), min(chunk.rows, group.rows - chunk.number))
        into = slice(filled, filled + part.stop - part.start)
        steps[into] = np.frombuffer(chunk.steps, "<i8")[part]
        times[into] = np.frombuffer(chunk.times, "<f8")[part]
        values[:, into] = chunk.values_of(len(wanted))[:, part]
        if orders is not None and chunk.orders is not None:
            orders[into] = np.frombuffer(chunk.orders, "<i8")[part]
        is_behind = filled == 0 or bool(steps[filled] > steps[filled - 1])
        is_ascending = is_ascending and chunk.is_ascending and is_behind
        filled = into.stop
    names = [group.columns[at] for at in wanted]
    columns = {name: column(values[at, :filled], kind, dictionary) for at, (name, kind) in enumerate(names)}
    numbers = None if orders is None else orders[:filled]
    return Rows(steps[:filled], times[:filled], columns, numbers, is_ascending)


def column(values: Floats, kind: str, dictionary: Objects | None) -> Column:
    return words.decoded(values, dictionary) if kind == Kind.WORD and dictionary is not None else values


@dataclass(frozen=True)
class Chunk:
    """What was read of a chunk; `pieces` of the values that are wanted, in their order."""

    number: int
    rows: int
    is_ascending: bool
    steps: bytes
    times: bytes
    pieces: list[bytes]
    wanted: list[int] | None
    orders: bytes | None

    def values_of(self, width: int) -> Floats:
        """(width, rows)."""
        if not width:
            return np.empty((0, self.rows))
        parts = [np.frombuffer(piece, "<f8").reshape(-1, self.rows) for piece in self.pieces]
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return values if self.wanted is None else values[self.wanted]


def chunks_of(group: Group, selection: Selection, wanted: list[int], *, needs_orders: bool) -> Iterator[Chunk]:
    """The chunks with rows that are asked for, in their order, one at a time in memory."""
    pieces = pieces_of(wanted, len(group.columns))
    expressions = {f"piece{at}": expression for at, expression in enumerate(pieces or [])}
    has_whole = pieces is None
    names = ["number", "rows", "is_ascending", "steps", "times", *expressions, *(["values"] if has_whole else [])]
    found = MetricChunk.objects.filter(group_id=group.pk, number__lt=group.rows).order_by("number")
    if since := (selection.since or {}).get(group.pk):
        found = found.annotate(end=F("number") + F("rows")).filter(end__gt=since)
    if selection.steps is not None:
        found = found.filter(last_step__gte=selection.steps[0], first_step__lte=selection.steps[1])
    rows = found.annotate(**expressions).values_list(*names, *(["orders"] if needs_orders else []))
    for number, count, is_ascending, steps, times, *blobs in rows.iterator(chunk_size=1):
        orders = blobs.pop() if needs_orders else None
        is_part = has_whole and len(wanted) < len(group.columns)
        yield Chunk(number, count, is_ascending, steps, times, blobs, wanted if is_part else None, orders)


def pieces_of(wanted: list[int], width: int) -> list[Any] | None:
    """Expressions for the bytes of the wanted columns, neighbours in one; None: the whole blob is better."""
    if len(wanted) == width:
        return None if width else []
    ranges: list[list[int]] = []
    for at in wanted:
        if ranges and ranges[-1][1] == at:
            ranges[-1][1] = at + 1
        else:
            ranges.append([at, at + 1])
    if len(ranges) > MOST_PIECES:
        return None
    column_bytes = F("rows") * VALUE_BYTES
    return [
        Substr("values", column_bytes * first + 1, column_bytes * (end - first), output_field=BinaryField())
        for first, end in ranges
    ]
