"""The turn of a task in the line: one number that stands for priority, age and ageing together."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models

# Where nothing ages, a point of priority is worth more than any wait: 30 years.
NEVER_S = 1e9


def turn_of(queued_at: datetime, points: int) -> float:
    """Least goes first, in seconds: each point of priority counts as `AGEING_S` of waiting.

    Two tasks that wait gain on each other nothing, so their order is fixed once, and an index holds it; a newer one
    overtakes only while its points are worth more than the wait of the older.
    """
    return queued_at.timestamp() - points * (settings.AGEING_S or NEVER_S)


class TurnField(models.FloatField):  # type: ignore[type-arg]  # as its base
    """Follows `queued_at`, `priority` and `queue_priority` whenever a task is saved; updates write it themselves."""

    def pre_save(self, model_instance: Any, add: bool) -> float:
        turn = turn_of(model_instance.queued_at, model_instance.priority + model_instance.queue_priority)
        setattr(model_instance, self.attname, turn)
        return turn
