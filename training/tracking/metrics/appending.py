"""Append batches to a run, in the transaction that makes sure they come once."""

from collections.abc import Sequence

import numpy as np
from django.db import connection, transaction

from mlserver.prepared import Prepared
from training.models import MetricChunk, MetricGroup, Run
from training.tracking import series
from training.tracking.metrics import chunks, words
from training.tracking.metrics.batch import Batch, Columns, Integers, Kind, digest_of
from training.tracking.metrics.chunks import Block

KNOWN = Prepared(lambda run_id: MetricGroup.objects.filter(run_id=run_id, stream="").only("digest", "rows"))
# Written out, because building them costs several times what they take, with each batch that comes in.
CHUNK, GROUP = MetricChunk._meta.db_table, MetricGroup._meta.db_table
LAST = f"SELECT number, rows FROM {CHUNK} WHERE group_id = %s ORDER BY number DESC LIMIT %s"
BLOBS = f'SELECT steps, times, "values", orders FROM {CHUNK} WHERE group_id = %s AND number >= %s ORDER BY number'
REMOVE = f"DELETE FROM {CHUNK} WHERE group_id = %s AND number >= %s"
INSERT = f"""
    INSERT INTO {CHUNK}
        (group_id, number, rows, first_step, last_step, is_ascending, steps, times, "values", orders)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
GROWN = f"UPDATE {GROUP} SET rows = %s WHERE id = %s"


def append(run_id: str, batches: Sequence[Batch]) -> int:
    """Store the rows of `batches` and fold them into the summaries of their series; returns how many points came.

    Two appends to one run wait for each other. Raises TransactionManagementError outside a transaction: what says
    that the rows were taken in must be written with them.
    """
    batches = [batch for batch in batches if len(batch)]
    if not batches:
        return 0
    lock(run_id)
    groups, begin = groups_of(run_id, [batch.columns for batch in batches])
    codes = words.codes_of(run_id, batches)
    for batch, group in zip(batches, groups, strict=True):
        add(group, block_of(batch, codes, begin))
        begin += len(batch) if batch.orders is None else 0
    series.fold(run_id, batches)
    return sum(len(batch) * len(batch.columns) for batch in batches)


def lock(run_id: str) -> None:
    """SQLite's transactions are alone from their beginning; elsewhere the run's row is what appends wait for."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("append belongs into the transaction that notes what it took in")
    if connection.features.has_select_for_update:
        Run.objects.select_for_update(no_key=True).only("pk").get(pk=run_id)


def groups_of(run_id: str, columns: Sequence[Columns]) -> tuple[list[MetricGroup], int]:
    """The group of each of `columns`, made where there is none, and how many rows the run has."""
    known = {group.digest: group for group in KNOWN.all(run_id)}
    digests = [digest_of(it) for it in columns]
    new = {
        digest: MetricGroup(run_id=run_id, digest=digest, columns=it)
        for digest, it in zip(digests, columns, strict=True)
        if digest not in known
    }
    said = sum(group.rows for group in known.values())
    if new:
        known |= {group.digest: group for group in MetricGroup.objects.bulk_create(new.values())}
    return [known[digest] for digest in digests], said


def block_of(batch: Batch, codes: dict[str, int], begin: int) -> Block:
    """The columns as numbers; `begin`: rows that the run had before."""
    values = np.empty((len(batch.columns), len(batch)))
    for at, (name, kind) in enumerate(batch.columns):
        values[at] = batch.numbers[name] if kind == Kind.NUMBER else words.encoded(batch.words[name], codes)
    orders: Integers = np.arange(len(batch)) if batch.orders is None else batch.orders
    return Block(batch.steps, batch.times, orders + begin, values)


def add(group: MetricGroup, block: Block) -> None:
    """Put rows behind those of the group, merged with its last chunks as `chunks` says."""
    width = len(block.values)
    with connection.cursor() as cursor:
        cursor.execute(LAST, [group.pk, chunks.LOOK_BACK])
        last = cursor.fetchall()
        sizes = [rows * chunks.row_bytes(width) for _, rows in last]
        merged = last[: chunks.merged_with(sizes, len(block) * chunks.row_bytes(width))]
        number = merged[-1][0] if merged else group.rows
        if merged:
            cursor.execute(BLOBS, [group.pk, number])
            block = chunks.joined([*(chunks.unpacked(*blobs) for blobs in cursor.fetchall()), block])
            cursor.execute(REMOVE, [group.pk, number])
        for piece in chunks.split(block, width):
            cursor.execute(INSERT, [group.pk, number, *chunks.packed(piece)])
            number += len(piece)
        group.rows = number
        cursor.execute(GROWN, [group.rows, group.pk])
