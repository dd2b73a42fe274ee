"""Instants as numbers are those that Python makes of them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User

from mlserver.instants import EpochSeconds
from training.models import Run

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.django_db
@pytest.mark.database
def test_they_are_exact_to_the_microsecond() -> None:
    owner = User.objects.create_user("ada")
    days = [0, 1, 10957, 20_000, 20_420, 47_481, 100_000, 2_932_896, -1, -25_000]
    parts = [0, 1, 499_999, 500_000, 999_499, 999_500, 999_999]
    instants = [
        EPOCH + timedelta(days=day, seconds=second, microseconds=part)
        for day in days for second in (0, 1, 43_199, 59_999, 86_399) for part in parts
    ]  # fmt: skip
    Run.objects.bulk_create(Run(owner=owner, created_at=instant) for instant in instants)
    found = Run.objects.values_list("created_at", EpochSeconds("created_at"), EpochSeconds("ended_at"))
    assert len(found) == len(instants)
    for instant, seconds, nothing in found:
        assert (seconds, nothing) == (pytest.approx((instant - EPOCH) / timedelta(seconds=1), rel=1e-15), None)
        assert isinstance(seconds, float)
