"""Cron expressions: the next time, in the local time of a zone, as Debian's cron counts it.

A time that the clocks jump over comes at the jump; one that they repeat comes once.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from mlserver.errors import shown
from training.queue.refused import Refused

WORDS = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip


def next_time(cron: str, zone: str, after: datetime) -> datetime | None:
    """The first time later than `after`, in UTC; None when there is none in 50 years. Raises CronSimError."""
    found = next(CronSim(WORDS.get(cron, cron), after.astimezone(ZoneInfo(zone))), None)
    return None if found is None else found.astimezone(UTC)


def in_words(cron: str) -> str:
    """`At 03:00 every day`."""
    return CronSim(WORDS.get(cron, cron), datetime.now(UTC)).explain()


def cron_expression(value: object) -> str:
    if isinstance(value, str) and len(value) <= 100:
        cron = " ".join(value.split())
        has_seconds = len(cron.split()) == 6
        try:
            if not has_seconds and next_time(cron, "UTC", datetime.now(UTC)) is not None:
                return cron
        except CronSimError as error:
            raise Refused(f"{shown(value)} is not a cron expression: {error}") from error
    raise Refused(f"{shown(value)} is not a cron expression that ever comes true: minute hour day month weekday")


def time_zone(value: object) -> str:
    if isinstance(value, str) and value in available_timezones():
        return value
    raise Refused(f"{shown(value)} is not the name of a time zone, as Europe/Berlin or UTC")
