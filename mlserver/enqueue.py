"""The one way to give work to django-q2: a dotted function name and ids, after commit."""

import logging
from collections.abc import Callable

from django.db import DatabaseError, transaction
from django_q.tasks import async_task

log = logging.getLogger(__name__)


def enqueue(function: str, *ids: str | int) -> None:
    """Run `function(*ids)` in the qcluster once the current transaction has committed.

    A message that cannot be queued is logged and dropped: the agent asks again for whatever stays unfinished.
    """
    transaction.on_commit(_push(function, ids))


def _push(function: str, ids: tuple[str | int, ...]) -> Callable[[], None]:
    def push() -> None:
        try:
            async_task(function, *ids, q_options={"task_name": function.rpartition(".")[2]})
        except (DatabaseError, OSError) as error:
            log.warning("%s%r was not queued: %s", function, ids, error)

    return push
