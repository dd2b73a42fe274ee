"""What all views of the Runicorn API have in common."""

from rest_framework import serializers as s
from rest_framework.views import APIView

from mlserver.api.negotiation import WhateverIsAccepted
from mlserver.api.rendering import OrjsonRenderer


class RunicornRefusal(s.Serializer[dict[str, object]]):
    """Why a call was refused."""

    detail = s.CharField(help_text="for people")
    retry_after = s.IntegerField(required=False, help_text="with 429: seconds to wait")


class RunicornView(APIView):
    """JSON whatever is accepted; loopback peers without a key where the operator trusts them."""

    door = "runicorn"
    refusal = RunicornRefusal
    renderer_classes = (OrjsonRenderer,)
    content_negotiation_class = WhateverIsAccepted
