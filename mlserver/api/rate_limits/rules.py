"""Which limit a row has: rules name rows by whole segments of their paths."""

import re
from collections.abc import Mapping

from django.contrib.admindocs.views import simplify_regex

from mlserver.api.rate_limits.model import Limit

PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
ANY = "*"


def template_of(route: str) -> str:
    """`api/runs/<str:run_id>` and the like as documents write it: `/api/runs/{run_id}`."""
    plain = simplify_regex(route) if "(?P" in route or route.startswith("^") else route
    return "/" + PARAMETER.sub(r"{\1}", plain).strip("/")


def rule_for(endpoints: Mapping[str, Limit], method: str, template: str) -> str | None:
    """The rule that says most about this row: of those that match, the one with most words of its own.

    `{name}` in a rule stands for any parameter of a row, `*` for any one segment.
    """
    matching = [rule for rule in endpoints if _matches(rule, method, template)]
    return max(matching, key=_weight, default=None)


def _matches(rule: str, method: str, template: str) -> bool:
    only, _, path = rule.rpartition(" ")
    if only and only != method:
        return False
    ours, theirs = path.split("/"), template.split("/")
    return len(ours) == len(theirs) and all(map(_stands_for, ours, theirs))


def _stands_for(ours: str, theirs: str) -> bool:
    return ours in (ANY, theirs) or ("{" in ours and "{" in theirs and _words(ours) == _words(theirs))


def _words(segment: str) -> str:
    return re.sub(r"{[^}]*}", "{}", segment)


def _weight(rule: str) -> tuple[int, int, bool]:
    segments = rule.split("/")
    return sum("{" not in it and it != ANY for it in segments), -segments.count(ANY), " " in rule
