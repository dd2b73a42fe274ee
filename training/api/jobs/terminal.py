"""J8: the URL of a terminal beside a pod."""

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from mlserver.accounts.callers import described_caller
from mlserver.accounts.scopes import Scope
from mlserver.api.jobs_view import JobsView, success
from mlserver.api.parsing import query_int
from mlserver.api.schema import whole_parameter
from mlserver.errors import Conflict
from training import terminals
from training.api.jobs import schemas
from training.api.jobs.jobs import JOB, TAGS, own_job
from training.api.jobs.pod_logs import POD, find_pod
from training.api.jobs.webterminal import terminal_url


class PodTerminal(JobsView):
    read_scope = Scope.SUBMIT.value
    conflicting_actions = ("get",)

    @extend_schema(
        tags=TAGS, operation_id="jobs_webterminal", summary="Ask for a terminal beside a pod",
        parameters=[
            JOB, POD,
            whole_parameter(
                "handshakeTimeoutSecond", "how long the URL is good for, in s", default=terminals.HANDSHAKE_S,
                at_least=5, at_most=300,
            ),
            whole_parameter(
                "pingTimeoutSecond", "silence after which it ends, in s", default=terminals.SILENCE_S, at_least=30,
                at_most=3600,
            ),
        ],
        responses=schemas.TERMINAL,
    )  # fmt: skip
    def get(self, request: Request, job_id: str, pod_name: str) -> HttpResponse:
        """J8: a shell with the account, the directory and the environment of the job; good for one opening."""
        query = request.query_params
        handshake_s = query_int(query, "handshakeTimeoutSecond", default=terminals.HANDSHAKE_S, at_least=5, at_most=300)
        silence_s = query_int(query, "pingTimeoutSecond", default=terminals.SILENCE_S, at_least=30, at_most=3600)
        run, rank = find_pod(own_job(request, job_id), pod_name)
        if run is None:
            raise Conflict(f"pod {pod_name} is not running: the job waits")
        token, _ = terminals.invite(
            run, rank, invited=described_caller(request), handshake_s=handshake_s, silence_s=silence_s
        )
        url = terminal_url(request, token)
        return success({"webTerminalUrl": url, "WebTerminalUrl": url})
