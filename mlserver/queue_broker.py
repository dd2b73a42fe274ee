"""The django-q2 broker on the server's own database: woken after a commit, patient while the database is away.

Only the pusher of a qcluster takes tasks out, so only the pusher opens the pipe. Everybody else enqueues.
"""

import contextlib
import logging
import time
from collections.abc import Iterator
from datetime import timedelta

from django.db.utils import Error as DatabaseAway
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ

from mlserver import paths
from mlserver.prepared import Prepared, PreparedUpdate
from mlserver.wakeup import Wakeup, notify

log = logging.getLogger(__name__)

ACKNOWLEDGE_WITHIN_S = 60
# A lock further ahead than this is a claim; a row that is queued at this moment may be ahead by a blink.
CLAIM_LASTS = timedelta(seconds=1)

FREE = Prepared(
    lambda key, now: (
        OrmQ.objects.filter(key=key, lock__lt=now)
        .order_by("lock", "pk")
        .values_list("pk", "payload", "lock")[: Conf.BULK]
    )
)
CLAIM = PreparedUpdate(lambda row, lock, until: (OrmQ.objects.filter(pk=row, lock=lock), {"lock": until}))


class DatabaseBroker(ORM):  # type: ignore[misc]  # django-q2 has no types
    """Rows of OrmQ are the queue: `lock` in the past is free, in the future is taken (or was, by a dead worker)."""

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key)
        self._wakeup: Wakeup | None = None
        self._pauses = back_off()

    def enqueue(self, task: str) -> int:
        """Primary key of the new row. Call after commit: whoever is woken earlier finds nothing."""
        row: int = super().enqueue(task)
        with contextlib.suppress(OSError):  # the task is safe in its row and found at the next slow look
            notify(paths.queue_fifo())
        return row

    def dequeue(self) -> list[tuple[int, str]] | None:
        """Claimed (row, payload) pairs, or None after waiting `poll` seconds for a wake-up.

        Never raises for a database that is locked or away: django-q2's pusher would sleep 10 s and die.
        """
        try:
            claimed = self._claim()
        except DatabaseAway as error:
            pause_s = next(self._pauses)
            log.warning("the queue cannot be read, looking again in %.1f s: %s", pause_s, error)
            time.sleep(pause_s)
            return None
        self._pauses = back_off()
        if not claimed:
            self._wait(Conf.POLL)
        return claimed or None

    def _claim(self) -> list[tuple[int, str]]:
        """Longest free first, each by compare-and-swap on its lock, so several clusters never share a row."""
        self.get_connection()  # a new one where the database went away
        return [
            (row, payload)
            for row, payload, lock in FREE.rows(self.list_key, timezone.now())
            if CLAIM.run(row, lock, self.timeout(None))
        ]

    def release_claims(self) -> int:
        """Free the rows a dead qcluster had claimed, behind those that wait; otherwise they rest for `retry` seconds.

        Only for a qcluster that starts, when no other of its name can be running.
        """
        now = timezone.now()
        claimed = self.get_connection().filter(key=self.list_key, lock__gt=now + CLAIM_LASTS)
        freed: int = claimed.update(lock=now)
        return freed

    def _wait(self, timeout_s: float) -> None:
        try:
            if self._wakeup is None:
                self._wakeup = Wakeup(paths.queue_fifo())
            self._wakeup.wait(timeout_s)
        except OSError as error:
            log.warning("no wake-up through %s, polling instead: %s", paths.queue_fifo(), error)
            time.sleep(timeout_s)

    def delete(self, task_id: int) -> None:
        """Take the row out, also when the database is away for a while; the monitor would die of an exception.

        After a minute the row is left: it is delivered again, which every queue task allows.
        """
        give_up_at = time.monotonic() + ACKNOWLEDGE_WITHIN_S
        for pause_s in back_off():
            try:
                super().delete(task_id)
                return
            except DatabaseAway as error:
                if time.monotonic() > give_up_at:
                    log.error("queue row %s could not be acknowledged and will run again: %s", task_id, error)
                    return
                time.sleep(pause_s)


def back_off() -> Iterator[float]:
    """Pauses in seconds: 0.1, doubling, then 2 for ever."""
    pause_s = 0.1
    while True:
        yield pause_s
        pause_s = min(pause_s * 2, 2)
