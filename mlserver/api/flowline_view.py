"""What all views of the FlowLine API have in common."""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction
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


class ByKey(s.BaseSerializer[Any]):
    """For the schema: an object of rows under keys that nobody knows before."""

    def __init__(self, row: type[s.Serializer[Any]]) -> None:
        super().__init__()
        self.row = row


class ByKeySchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # its metaclass is not annotated
    target_class = ByKey

    def get_name(self, auto_schema: AutoSchema, direction: Direction) -> str:
        return f"{self.target.row.__name__}ByKey"

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        return {
            "type": "object",
            "additionalProperties": auto_schema.resolve_serializer(self.target.row, direction).ref,
        }


def by_key(row: type[s.Serializer[Any]]) -> ByKey:
    return ByKey(row)
