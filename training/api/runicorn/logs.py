"""R10: the log of a run, line by line, on a WebSocket."""

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request

from mlserver.accounts.peers import peer_of, site_of
from mlserver.api.rate_limits import limiter
from mlserver.api.runicorn_view import RunicornView
from mlserver.api.sockets import SocketResponse, require_handshake
from mlserver.errors import NotFound
from training.api.runicorn.log_socket import LogSocket
from training.api.runicorn.lookup import checked_run_id, find_run
from training.models import Run
from training.models.run import DIRECTORY_COLUMNS

SAID = """
A **WebSocket**. Text frames, from the server alone: one log line each, as it was written and without its newline; blank
lines are left out. First come the lines that are there, at most the last 10000, then each new one as it is written. The
socket stays open when the run has ended.

Frames that begin with `[info]` or `[error]` are the server's: it waits for a log, left lines out, ends after an hour
without news (close code 1000), does not know the run (1000), or cannot read its log (1011). 1013: the address has as many
of these sockets as it may have.

A browser that is not logged in here sends its key as a subprotocol: `new WebSocket(url, ["mlserver", "mlserver.key." + key])`.
"""  # noqa: E501


class RunLogSocket(RunicornView):
    @extend_schema(
        tags=["runicorn"],
        operation_id="runicorn_runs_logs_ws",
        summary="Follow the log of a run (WebSocket)",
        description=SAID,
        responses={
            101: OpenApiResponse(description="the WebSocket is open"),
            426: OpenApiResponse(description="the request is a plain one, not the handshake of a WebSocket"),
        },
    )
    def get(self, request: Request, run_id: str) -> HttpResponse:
        checked_run_id(run_id)
        require_handshake(request)
        peer = peer_of(request)
        return SocketResponse(LogSocket(_find(run_id), site_of(peer.address), limiter().most_connections(peer)))


def _find(run_id: str) -> Run | None:
    """None: unknown or deleted, which the socket says."""
    try:
        return find_run(run_id, *DIRECTORY_COLUMNS)
    except NotFound:
        return None
