"""Typed readers of queries; what they refuse they name."""

import math
from collections.abc import Mapping

from mlserver.api.parsing import query_int
from mlserver.errors import Invalid, shown
from training.api.runicorn.statuses import WORDS, statuses_named

Query = Mapping[str, str]
MOST_TAGS = 100


def word(query: Query, name: str) -> str:
    """Empty without one."""
    return query.get(name, "")


def words(query: Query, name: str) -> list[str]:
    """Separated by commas, each once."""
    found = (it.strip() for it in word(query, name).split(","))
    return list(dict.fromkeys(it for it in found if it))


def tags(query: Query, name: str = "tags") -> list[str]:
    """Each is a condition of its own, and no database takes any number of them."""
    found = words(query, name)
    if len(found) > MOST_TAGS:
        raise Invalid.field(name, f"{len(found)} tags are more than {MOST_TAGS}")
    return found


def number(query: Query, name: str) -> float | None:
    raw = query.get(name)
    if raw is None or not raw.strip():
        return None
    try:
        value = float(raw)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Invalid.field(name, f"{shown(raw)} must be a number")
    return value


def limit(query: Query, name: str, *, at_least: int) -> int | None:
    if not query.get(name):
        return None
    return query_int(query, name, default=0, at_least=at_least, at_most=2**31)


def statuses(query: Query, name: str = "status") -> list[str]:
    """Ours, for the API's words; none without one."""
    named = words(query, name)
    if unknown := [it for it in named if it not in WORDS]:
        raise Invalid.field(name, f"{shown(unknown[0])} must be one of {', '.join(WORDS)}")
    return [status for it in named for status in statuses_named(it)]
