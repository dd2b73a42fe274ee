"""The sentence that says why a device takes no work."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from gpus.availability import why_not_schedulable, why_silent
from tests.make import make_gpu, make_node

pytestmark = pytest.mark.django_db


def test_it_says_nothing_of_an_idle_device():
    assert why_not_schedulable(make_gpu()) == ""


def test_it_says_nothing_of_a_device_whose_memory_the_driver_itself_may_hold():
    assert why_not_schedulable(make_gpu(foreign_memory_mib=600)) == ""


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"is_enabled": False}, "switched off by an administrator"),
        ({"is_present": False}, "the driver does not list this GPU at present"),
        ({"foreign_memory_mib": 601}, "in use outside this server: 601 MiB"),
        (
            {"foreign_process_count": 1, "foreign_memory_mib": 9000},
            "in use outside this server: 1 process, 9000 MiB",
        ),
        ({"foreign_process_count": 2}, "in use outside this server: 2 processes, 0 MiB"),
        ({"quarantined_at": timezone.now(), "quarantine_reason": "stuck"}, "quarantined: stuck"),
        ({"quarantined_at": timezone.now()}, "quarantined: no reason given"),
        ({"sampled_at": None}, "not sampled yet"),
        (
            {"sampled_at": datetime(2026, 1, 2, 3, 4, 5, 678, UTC)},
            "not sampled since 2026-01-02 03:04:05 UTC: the driver does not answer",
        ),
    ],
)
def test_it_names_what_is_in_the_way(facts, sentence):
    assert why_not_schedulable(make_gpu(**facts)) == sentence


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"is_enabled": False}, "node box is switched off"),
        (
            {"agent_seen_at": datetime(2026, 1, 2, 3, 4, 5, 678, UTC)},
            "node box has not been heard of since 2026-01-02 03:04:05 UTC: its agent is not running",
        ),
        ({"agent_seen_at": None}, "node box has never reported: its agent is not running"),
    ],
)
def test_it_names_what_is_wrong_with_the_node(facts, sentence):
    assert why_not_schedulable(make_gpu(make_node("box", **facts))) == sentence


def test_a_short_silence_of_the_agent_is_no_silence():
    assert why_silent(make_node(agent_seen_at=timezone.now() - timedelta(seconds=9))) == ""
    assert why_silent(make_node(agent_seen_at=timezone.now() - timedelta(seconds=11))) != ""
