"""Typed readers of bodies; what they refuse they name."""

from collections.abc import Mapping
from typing import cast

from rest_framework.request import Request

from mlserver.errors import BadRequest, Invalid, shown
from mlserver.text import is_storable
from training.api.runicorn.lookup import checked_run_id

Body = Mapping[str, object]


def body_of(request: Request) -> Body:
    """The parser takes nothing but objects."""
    return cast(Body, request.data)


def run_ids(body: Body, name: str = "run_ids", *, at_most: int) -> list[str]:
    """Each once, in their order. Raises Invalid, and BadRequest for what is no run id."""
    return [checked_run_id(run_id) for run_id in words(body, name, at_most=at_most)]


def words(body: Body, name: str, *, at_most: int, at_least: int = 1) -> list[str]:
    """Strings, each once."""
    value = body.get(name)
    if not isinstance(value, list) or not at_least <= len(value) <= at_most:
        raise Invalid.field(name, f"{shown(value)} must be a list of {at_least} to {at_most} strings")
    for word in value:
        if not isinstance(word, str) or not is_storable(word):
            raise Invalid.field(name, f"{shown(word)} must be a string")
    return list(dict.fromkeys(value))


def text(body: Body, name: str, *, default: str, at_most: int) -> str:
    value = body.get(name, default)
    if not isinstance(value, str) or len(value) > at_most or not is_storable(value):
        raise Invalid.field(name, f"{shown(value)} must be a string of at most {at_most} characters")
    return value


def flag(body: Body, name: str, *, default: bool = False) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise Invalid.field(name, f"{shown(value)} must be true or false")
    return value


def require_confirmed(body: Body) -> None:
    if body.get("confirm") is not True:
        raise BadRequest('Set {"confirm": true}: this removes runs for good')
