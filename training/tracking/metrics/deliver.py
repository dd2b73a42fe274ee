"""Batches that come over HTTP: numbered by the sender, taken in once and in their order."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from mlserver.errors import Conflict, NotFound
from mlserver.prepared import Prepared, PreparedUpdate
from training.models import Run
from training.tracking.metrics.appending import append
from training.tracking.metrics.batch import Batch

NUMBER = Prepared(lambda pk: Run.objects.filter(pk=pk).values_list("next_seq"))
TAKE = PreparedUpdate(
    lambda pk, seq, now: (
        Run.objects.filter(pk=pk, next_seq=seq),
        {"next_seq": F("next_seq") + 1, "heartbeat_at": now, "updated_at": now, "is_stale": False},
    )
)


@dataclass(frozen=True)
class Delivery:
    """`accepted` rows; `next_seq` is the number of the batch that comes next."""

    accepted: int
    next_seq: int
    is_duplicate: bool


def deliver(run_id: str, seq: int, batches: Sequence[Batch]) -> Delivery:
    """Append `batches` as number `seq` of the run; a number that was taken in before changes nothing.

    The number and the points are one transaction: of two at once with one number one is taken in, and a batch whose
    answer was lost may be sent again. A delivery is a sign of life. Raises Conflict that names the expected number
    when batches before this one are missing.
    """
    with transaction.atomic():
        if TAKE.run(run_id, seq, timezone.now()):
            append(run_id, batches)
            return Delivery(sum(map(len, batches)), seq + 1, False)
    known = NUMBER.rows(run_id)
    if not known:
        raise NotFound(f"run {run_id} does not exist")
    expected: int = known[0][0]
    if seq > expected:
        said = f"{seq} leaves a gap: the next batch of run {run_id} is number {expected}"
        raise Conflict(f"seq: {said}", errors={"seq": [said]})
    return Delivery(0, expected, True)
