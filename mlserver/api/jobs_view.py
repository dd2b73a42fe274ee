"""What all views of the Jobs API have in common: the envelope around answers, and how instants are written."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers as s
from rest_framework.views import APIView

from mlserver.api.negotiation import WhateverIsAccepted
from mlserver.api.rendering import OrjsonRenderer, json_response


class JobsRefusal(s.Serializer[dict[str, object]]):
    """Why a call was refused."""

    success = s.BooleanField(help_text="false")
    message = s.CharField(help_text="for people")
    errorCode = s.CharField(help_text="AUTH_FAILED, JOB_NOT_FOUND, INVALID_PARAMETER, ...")
    details = s.DictField(help_text="sentences by field")


class JobsView(APIView):
    """JSON whatever is accepted."""

    door = "jobs"
    refusal = JobsRefusal
    renderer_classes = (OrjsonRenderer,)
    content_negotiation_class = WhateverIsAccepted


def success(data: Mapping[str, Any] | None = None, *, message: str = "") -> HttpResponse:
    body: dict[str, Any] = {"success": True}
    if data is not None:
        body["data"] = data
    if message:
        body["message"] = message
    return json_response(body)


def success_schema(name: str, data: s.BaseSerializer[Any] | None = None) -> s.Serializer[Any]:
    """For the schema: the envelope around `data`."""
    fields: dict[str, Any] = {"success": s.BooleanField(), "message": s.CharField(required=False)}
    return inline_serializer(name, fields | ({"data": data} if data is not None else {}))


def instant(at: datetime | None) -> str:
    """ISO 8601 UTC in whole seconds; empty for what has not happened."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""
