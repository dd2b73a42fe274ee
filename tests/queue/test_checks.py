"""Settings of django-q2 that would break the queue stop the server from starting."""

from typing import Any

import pytest

from mlserver.checks import RULES, queue_settings_are_safe


def test_the_settings_as_they_are_pass() -> None:
    assert queue_settings_are_safe(None) == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("timeout", None),
        ("timeout", 3600),
        ("retry", 60),
        ("ack_failures", False),
        ("max_attempts", 0),
        ("queue_limit", 4),
        ("bulk", 10),
        ("save_limit", 250),
        ("catch_up", True),
        ("sync", True),
        ("cached", True),
        ("poll", 0.05),
        ("broker_class", "django_q.brokers.orm.ORM"),
    ],
)
def test_it_refuses_a_setting_with_its_value_and_the_rule(settings: Any, option: str, value: object) -> None:
    settings.Q_CLUSTER = settings.Q_CLUSTER | {option: value}
    said = {error.id: error.msg for error in queue_settings_are_safe(None)}
    assert said[f"mlserver.queue.{option}"].startswith(f"Q_CLUSTER[{option!r}]={value!r} is refused: it must be ")


def test_it_refuses_django_q2s_own_defaults(settings: Any) -> None:
    settings.Q_CLUSTER = {}
    defaults_are_safe = {"sync", "cached", "bulk"}
    refused = {error.id.removeprefix("mlserver.queue.") for error in queue_settings_are_safe(None)}
    # An unset timeout is 0 here, so the default `retry` of 60 s is longer.
    assert refused == {rule.option for rule in RULES} - defaults_are_safe - {"retry"}
