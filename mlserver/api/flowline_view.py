"""What all views of the FlowLine API have in common."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers as s
from rest_framework.views import APIView

from mlserver.api.negotiation import WhateverIsAccepted
from mlserver.api.rendering import OrjsonRenderer


class FlowlineRefusal(s.Serializer[dict[str, object]]):
    """Why a call was refused."""

    error = s.CharField(help_text="for people")
    success = s.BooleanField(required=False, help_text="false, with actions")


class FlowlineView(APIView):
    """JSON whatever is accepted; loopback peers without a key where the operator trusts them."""

    door = "flowline"
    refusal = FlowlineRefusal
    renderer_classes = (OrjsonRenderer,)
    content_negotiation_class = WhateverIsAccepted


def by_key(row: type[s.Serializer[Any]]) -> OpenApiResponse:
    """For the schema: an object of rows under keys that nobody knows before."""
    return OpenApiResponse(s.DictField(child=row()))
