"""A shell beside a running process, for its owner."""

from typing import Any, cast

from drf_spectacular.utils import extend_schema
from rest_framework import serializers as s
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mlserver.accounts.callers import described_caller
from mlserver.accounts.permissions import require_owner
from training import terminals
from training.api.jobs.webterminal import terminal_url
from training.api.native.logs import MAX_RANK
from training.api.native.lookup import visible_run


class TerminalWish(s.Serializer[dict[str, object]]):
    rank = s.IntegerField(min_value=0, max_value=MAX_RANK, default=0, help_text="process of the run")
    handshake_s = s.IntegerField(
        min_value=5, max_value=300, default=terminals.HANDSHAKE_S, help_text="how long the URL is good for, in s"
    )
    silence_s = s.IntegerField(
        min_value=30,
        max_value=3600,
        default=terminals.SILENCE_S,
        help_text="the terminal ends when its client sends nothing for so long, in s",
    )


class TerminalAnswer(s.Serializer[dict[str, object]]):
    url = s.CharField(help_text="a WebSocket, good for one opening; whoever has it needs no key")
    expires_at = s.DateTimeField(help_text="it must be opened before")


class RunTerminal(APIView):
    conflicting_actions = ("post",)

    @extend_schema(
        tags=["runs"],
        operation_id="runs_terminal",
        summary="Ask for a terminal beside a process",
        description="A shell with the account, the directory and the environment of the run's command. It ends with "
        "the run. 403: it is somebody else's, or terminals are switched off. 409: the run is not running.",
        request=TerminalWish,
        responses={201: TerminalAnswer},
    )
    def post(self, request: Request, pk: str) -> Response:
        run = visible_run(pk)
        require_owner(request, run)
        wish = TerminalWish(data=request.data)
        wish.is_valid(raise_exception=True)
        given = cast(dict[str, Any], wish.validated_data)
        token, expires_at = terminals.invite(
            run,
            given["rank"],
            invited=described_caller(request),
            handshake_s=given["handshake_s"],
            silence_s=given["silence_s"],
        )
        return Response({"url": terminal_url(request, token), "expires_at": expires_at}, status=201)
