"""JSON out: orjson, instants as ISO 8601 UTC with `Z`, NaN and Infinity as null."""

from collections.abc import Mapping
from typing import Any

import orjson
from django.http import HttpResponse
from django.utils.functional import Promise
from rest_framework.renderers import BaseRenderer

OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_SERIALIZE_NUMPY
ANY_KEYS = OPTIONS | orjson.OPT_NON_STR_KEYS


def to_json(data: object) -> bytes:
    """UTF-8 JSON. Raises TypeError for a type that has no JSON form."""
    try:
        return orjson.dumps(data, default=_plain, option=OPTIONS)
    except TypeError:  # keys that are no text are rare, and looking at each costs a third of the time
        return orjson.dumps(data, default=_plain, option=ANY_KEYS)


def json_response(data: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """An answer without DRF's rendering step, for hot lists and for views outside DRF."""
    content = to_json(data)
    # Here and not left to CommonMiddleware: answers of the middleware before it have a length too.
    named = {"Content-Length": str(len(content)), **(headers or {})}
    return HttpResponse(content, content_type="application/json", status=status, headers=named)


class OrjsonRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "text"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """The browsable pages ask for indentation through `renderer_context`."""
        if data is None:
            return b""
        if renderer_context and renderer_context.get("indent"):
            return orjson.dumps(data, default=_plain, option=ANY_KEYS | orjson.OPT_INDENT_2)
        return to_json(data)


def _plain(value: object) -> object:
    """What orjson asks about a type it does not know; TypeError makes it name the type."""
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError
