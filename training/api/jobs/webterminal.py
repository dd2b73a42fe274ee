"""J9: the socket of a terminal, opened once with the token that an invitation gave."""

import logging

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from mlserver.accounts.origins import has_own_host_name
from mlserver.accounts.peers import peer_of
from mlserver.api.negotiation import WhateverIsAccepted
from mlserver.api.rendering import OrjsonRenderer
from mlserver.api.sockets import SocketResponse, require_handshake
from mlserver.errors import Forbidden
from training import terminals
from training.api.terminal_socket import TerminalSocket

log = logging.getLogger(__name__)

SAID = """
A **WebSocket**. To the server: a binary frame of `0x00` and UTF-8 text, or a text frame, is typed; `0x04` and
`{"Height": rows, "Width": columns}` is the size of the window; `0x00 0x00 0x00` is a heartbeat, every 30 s. To the
client: binary frames, the bytes that the terminal shows.

The token in the path is the key. It opens one terminal and no second one; unknown, used or late it is refused with 403.
The socket closes with 1000 when the shell or the run ends, or when no frame of the client came for a while.
"""


class WebTerminal(APIView):
    """Open: who asked for the token has shown a key."""

    open = True
    authentication_classes = ()
    renderer_classes = (OrjsonRenderer,)
    content_negotiation_class = WhateverIsAccepted

    @extend_schema(
        tags=["jobs"],
        operation_id="jobs_webterminal_socket",
        summary="A terminal beside a process (WebSocket)",
        description=SAID,
        auth=[{}],  # type: ignore[list-item]  # a requirement as OpenAPI has it; its types know names only
        responses={
            101: OpenApiResponse(description="the WebSocket is open"),
            426: OpenApiResponse(description="the request is a plain one, not the handshake of a WebSocket"),
        },
    )
    def get(self, request: Request, token: str) -> HttpResponse:
        require_handshake(request)
        refuse_foreign_page(request._request)
        address = peer_of(request).address
        try:
            run, invitation = terminals.accept(token, address)
        except Forbidden as error:
            log.warning("a terminal was refused to %s: %s", address, error)
            raise
        return SocketResponse(TerminalSocket(run, invitation, address))


def terminal_url(request: Request, token: str) -> str:
    """As the caller reached us."""
    return f"{'wss' if request.is_secure() else 'ws'}://{request.get_host()}/webterminal/{token}"


def refuse_foreign_page(request: HttpRequest) -> None:
    """Raises PermissionDenied; the port is not compared, as pages of other doors open terminals here."""
    origin = request.META.get("HTTP_ORIGIN")
    if origin is None or origin in settings.ALLOWED_ORIGINS or has_own_host_name(origin, request.get_host()):
        return
    raise PermissionDenied(f"Origin {origin[:100]!r} is another site, which may open no terminal here")
