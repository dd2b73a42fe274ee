"""Idempotency-Key: a POST that is sent again makes nothing new and is answered as the first was."""

import hashlib
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast, overload

import orjson
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from mlserver.accounts.models import IdempotentAnswer
from mlserver.api.rendering import to_json
from mlserver.errors import Invalid, shown

HEADER = "Idempotency-Key"
MAX_KEY_CHARACTERS = 255

HandlerT = TypeVar("HandlerT", bound=Callable[..., HttpResponseBase])


@overload
def idempotent(handler: HandlerT) -> HandlerT: ...
@overload
def idempotent(*, secret_fields: Sequence[str]) -> Callable[[HandlerT], HandlerT]: ...
def idempotent(handler: HandlerT | None = None, *, secret_fields: Sequence[str] = ()) -> Any:
    """Decorate a method `(self, request, ...)` of a view that creates something.

    With the header, the first successful answer is kept for 24 hours for this user, path and key. The claim on the
    key is the first statement of the transaction that also makes the object: a second request at the same time
    waits for that transaction, and a crash leaves neither claim nor object. Failures are not kept. `secret_fields`
    of the answer are not stored; a repetition shows them as null. Raises Invalid when the key was used with another
    body or query, or is longer than 255 characters.
    """

    def decorate(method: HandlerT) -> HandlerT:
        @wraps(method)
        def once(view: Any, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
            key = request.headers.get(HEADER, "").strip()
            if not key:
                return method(view, request, *args, **kwargs)
            if len(key) > MAX_KEY_CHARACTERS:
                raise Invalid.field(HEADER, f"it has {len(key)} characters, at most {MAX_KEY_CHARACTERS} are taken")
            with transaction.atomic():
                claim, is_first = _claim(request, key)
                if not is_first:
                    return _replay(claim, _digest(request))
                response = method(view, request, *args, **kwargs)
                _keep(claim, response, secret_fields)
            return response

        once.is_idempotent = True  # type: ignore[attr-defined]  # read by the schema
        return cast(HandlerT, once)

    return decorate if handler is None else decorate(handler)


def _claim(request: Request, key: str) -> tuple[IdempotentAnswer, bool]:
    """The row of this user, path and key, and whether this request made it."""
    IdempotentAnswer.objects.outdated().delete()
    about = {"user_id": request.user.pk, "path": request.path, "key": key}
    try:
        with transaction.atomic():
            return IdempotentAnswer.objects.create(**about, request_digest=_digest(request)), True
    except IntegrityError:
        return IdempotentAnswer.objects.get(**about), False


def _digest(request: Request) -> str:
    """Of query and parsed body: spacing and order of the members do not count."""
    body = orjson.dumps(request.data, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return hashlib.sha256(request.META.get("QUERY_STRING", "").encode() + b"\n" + body).hexdigest()


def _replay(kept: IdempotentAnswer, digest: str) -> HttpResponse:
    if kept.request_digest != digest:
        raise Invalid.field(HEADER, f"{shown(kept.key)} was used with another body or query in the last 24 hours")
    headers = {"Idempotent-Replayed": "true"} | ({"Location": kept.location} if kept.location else {})
    return HttpResponse(bytes(kept.body), content_type="application/json", status=kept.status, headers=headers)


def _keep(claim: IdempotentAnswer, response: HttpResponseBase, secret_fields: Sequence[str]) -> None:
    """Store a success beside what it made; anything else takes the claim back with its transaction."""
    if not 200 <= response.status_code < 300:
        transaction.set_rollback(True)
        return
    data = response.data if isinstance(response, Response) else orjson.loads(getattr(response, "content", b"null"))
    if secret_fields and isinstance(data, dict):
        data = {name: None if name in secret_fields else value for name, value in data.items()}
    claim.body, claim.status = to_json(data), response.status_code
    claim.location = response.headers.get("Location", "")
    claim.save(update_fields=["body", "status", "location"])
