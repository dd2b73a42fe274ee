"""What all views of the Runicorn API have in common."""

from rest_framework.views import APIView

from mlserver.api.negotiation import WhateverIsAccepted
from mlserver.api.rendering import OrjsonRenderer


class RunicornView(APIView):
    """JSON whatever is accepted; loopback peers without a key where the operator trusts them."""

    door = "runicorn"
    renderer_classes = (OrjsonRenderer,)
    content_negotiation_class = WhateverIsAccepted
