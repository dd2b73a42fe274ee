"""JSON out."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from django.utils.functional import lazystr

from mlserver.api.rendering import OrjsonRenderer, to_json


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), '"2026-01-02T03:04:05.678901Z"'),
        (datetime(2026, 1, 2, 3, 4, 5, 1), '"2026-01-02T03:04:05.000001Z"'),
        ([float("nan"), float("inf"), 1.5], "[null,null,1.5]"),
        (np.array([1.5, np.nan]), "[1.5,null]"),
        ({1: lazystr("lazy")}, '{"1":"lazy"}'),
        ({"b", "a"}, '["a","b"]'),
    ],
)
def test_it_writes_instants_as_utc_and_no_nan(value: Any, text: str) -> None:
    assert to_json(value).decode() == text


def test_it_keeps_the_instant_of_another_zone() -> None:
    there = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    assert datetime.fromisoformat(json.loads(to_json(there))) == there


def test_it_refuses_what_has_no_json_form() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        to_json(object())


def test_browsable_pages_are_indented() -> None:
    assert OrjsonRenderer().render({"a": 1}, None, {"indent": 4}) == b'{\n  "a": 1\n}'
    assert OrjsonRenderer().render(None) == b""
