"""Instants as jobs say them."""

from datetime import UTC, datetime

from django.utils import timezone

from training.tracking.spool import number


def instant(seconds: object) -> datetime:
    """When a job says it was, in seconds since 1970; now when it says nothing that can be."""
    return instant_or_none(seconds) or timezone.now()


def instant_or_none(seconds: object) -> datetime | None:
    said = number(seconds)
    try:
        return datetime.fromtimestamp(said, UTC) if said is not None else None
    except (OverflowError, ValueError, OSError):
        return None
