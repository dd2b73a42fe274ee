"""N8, N9: the log of a run: delivered as text; read as JSON lines, as text, or followed as Server-Sent Events."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, cast

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers as s
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.views import APIView

from mlserver.accounts.permissions import require_owner
from mlserver.api.negotiation import WhateverIsAccepted
from mlserver.api.parsing import MAX_BATCH_BYTES, query_flag, query_int, read_limited
from mlserver.api.rendering import OrjsonRenderer, json_response
from mlserver.api.schema import whole_parameter
from mlserver.api.streams import StreamResponse
from mlserver.errors import Invalid, shown
from training.api.native.log_events import LogEvents, line_json
from training.api.native.lookup import told_run, visible_run
from training.models import Run
from training.tracking import logs
from training.tracking.logs.appending import append

DEFAULT_TAIL = 100
MAX_RANK = 65_535
MAX_SEARCH = 1000
LARGEST_OFFSET = 2**63 - 1
OFFSET = "Upload-Offset"
STREAMS = {"stdout": logs.Stream.STDOUT, "stderr": logs.Stream.STDERR}
# What a job wrote is shown as text and nothing else, whatever a browser makes of it.
SAFE_TEXT = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}


@dataclass(frozen=True)
class LogQuery:
    """`start` None: the last `tail` lines."""

    tail: int
    start: int | None
    rank: int
    selection: logs.Selection
    is_followed: bool
    is_text: bool

    @classmethod
    def of(cls, request: Request) -> "LogQuery":
        """Raises Invalid that names the parameter, the value and the rule."""
        params = request.query_params
        if "from" in params and "tail" in params:
            raise Invalid.field("tail", f"{shown(params['tail'])} must not be given together with from")
        is_followed = query_flag(params, "follow")
        if is_followed and params.get("format") == "text":
            raise Invalid.field("format", '"text" must not be given together with follow, which answers events')
        start = query_int(params, "from", default=0, at_least=0, at_most=LARGEST_OFFSET) if "from" in params else None
        return cls(
            tail=query_int(params, "tail", default=DEFAULT_TAIL, at_least=1, at_most=logs.MAX_LINES),
            start=_resumed(request, start) if is_followed else start,
            rank=query_int(params, "rank", default=0, at_least=0, at_most=MAX_RANK),
            selection=logs.Selection(_stream(request), _search(request), query_flag(params, "collapse")),
            is_followed=is_followed,
            is_text=_is_text(request),
        )


class LogLine(s.Serializer[dict[str, object]]):
    offset = s.IntegerField(help_text="byte in the log where the line begins")
    time = s.DateTimeField(allow_null=True, help_text="when its first byte was written; null: not known")
    stream = s.ChoiceField(["stdout", "stderr", "server"], allow_null=True, help_text="server: said by mlserver")
    text = s.CharField(help_text="without its newline")
    is_partial = s.BooleanField(help_text="no newline ended it yet; its rest begins at the next offset")


class LogAnswer(s.Serializer[dict[str, object]]):
    lines = LogLine(many=True)
    next_offset = s.IntegerField(help_text="give it as `from` to read on; nothing comes twice, nothing is missed")
    scanned_from = s.IntegerField(help_text="lines before this byte were not looked at")
    kept_from = s.IntegerField(help_text="what was written before this byte was rotated away; 0: nothing")
    size_bytes = s.IntegerField(help_text="all that was written, with what was rotated away")
    is_complete = s.BooleanField(help_text="the run has ended and nothing is left to read")


class LogEnd(s.Serializer[dict[str, object]]):
    offset = s.IntegerField(help_text="where the log ends now: the next `Upload-Offset`")


class TextParser(BaseParser):
    """Bytes of a log as they are; read by the view."""

    media_type = "text/plain"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, bytes]:
        """Under `text`."""
        return {"text": read_limited(stream, MAX_BATCH_BYTES)}


class BytesParser(TextParser):
    media_type = "application/octet-stream"


class RunLogs(APIView):
    content_negotiation_class = WhateverIsAccepted  # the view itself looks at `format` and `Accept`
    renderer_classes = (OrjsonRenderer,)
    parser_classes = (TextParser, BytesParser)
    conflicting_actions = ("post",)

    @extend_schema(
        tags=["runs"],
        operation_id="runs_logs_deliver",
        summary="Deliver text to the log of a run",
        description="For the SDK, of runs outside the queue. `Upload-Offset` says at which byte the body begins; send "
        "it until it is answered. 409: the log ends elsewhere, and `detail` says where, so go on from there; or the "
        f"run is executed by the server, which writes its log itself. A body has at most {MAX_BATCH_BYTES} bytes. "
        "413: it has more, or the log has reached its limit.",
        request={"text/plain": str},
        responses=LogEnd,
        parameters=[
            OpenApiParameter(
                "Upload-Offset", {"type": "integer", "minimum": 0}, "header", required=True,
                description="byte in the log at which the body begins",
            ),
        ],
    )  # fmt: skip
    def post(self, request: Request, pk: str) -> HttpResponse:
        headers = {OFFSET: request.headers.get(OFFSET, "")}
        offset = query_int(headers, OFFSET, default=0, at_least=0, at_most=LARGEST_OFFSET)
        run = told_run(pk)
        require_owner(request, run)
        end = append(run, offset, cast(dict[str, bytes], request.data).get("text", b""))
        run.note_heartbeat()
        return json_response({"offset": end}, headers={OFFSET: str(end)})

    @extend_schema(
        tags=["runs"],
        operation_id="runs_logs",
        summary="Read or follow the log of a run",
        description="The last lines, or on from a byte; as JSON, as plain text, or as events while it is written.",
        responses={
            (200, "application/json"): LogAnswer,
            (200, "text/plain"): OpenApiTypes.STR,
            (200, "text/event-stream"): OpenApiResponse(
                OpenApiTypes.STR, description="events `line` with id = next offset, at last `end` with the status"
            ),
        },
        parameters=[
            whole_parameter("tail", "last lines", default=DEFAULT_TAIL, at_least=1, at_most=logs.MAX_LINES),
            OpenApiParameter("from", int, description="read on from this byte, up to 1 MiB; not with tail"),
            OpenApiParameter("stream", str, enum=list(STREAMS), description="only what was written to this stream"),
            OpenApiParameter("search", str, description="only lines that contain it, case counts"),
            OpenApiParameter("collapse", bool, description="progress bars as their last state"),
            OpenApiParameter("rank", int, description="process of the run, default 0"),
            OpenApiParameter("format", str, enum=["json", "text"], description="as `Accept: text/plain`"),
            OpenApiParameter(
                "follow", bool, description="Server-Sent Events until the run has ended; not with format=text"
            ),
            OpenApiParameter("Last-Event-ID", int, "header", description="with follow: go on behind this event"),
        ],
    )
    def get(self, request: Request, pk: str) -> HttpResponse:
        query = LogQuery.of(request)
        # The status first: of an ended run the log read after it is the whole log.
        run = visible_run(pk)
        if query.is_followed and request.method == "GET":
            return StreamResponse(_events(run, query))
        page = read_page(run, query)
        return _text(run, page) if query.is_text else json_response(_page_json(run, page))


def read_page(run: Run, query: LogQuery) -> logs.Page:
    if query.start is None:
        return logs.tail(run, query.rank, query.tail, query.selection)
    page = logs.from_offset(run, query.start, rank=query.rank, selection=query.selection, is_over=run.has_ended)
    if query.is_text and query.start < page.kept_from:
        page.lines.insert(0, logs.rotated_away(query.start, page.kept_from))
    return page


def _events(run: Run, query: LogQuery) -> LogEvents:
    """The first read happens here, in the thread of the request."""
    followed = logs.FollowedLog(run, query.rank, query.start or 0, query.selection, is_over=run.has_ended)
    first = followed.start_with_tail(query.tail) if query.start is None else []
    return LogEvents(followed, first)


def _page_json(run: Run, page: logs.Page) -> dict[str, object]:
    return {
        "lines": [line_json(line) for line in page.lines],
        "next_offset": page.next_offset,
        "scanned_from": page.scanned_from,
        "kept_from": page.kept_from,
        "size_bytes": page.size_bytes,
        "is_complete": run.has_ended and page.next_offset >= page.size_bytes,
    }


def _text(run: Run, page: logs.Page) -> HttpResponse:
    text = "".join(line.text if line.is_partial else f"{line.text}\n" for line in page.lines)
    headers = {
        **SAFE_TEXT,
        "Content-Disposition": f'inline; filename="{run.pk}.txt"',
        "X-Next-Offset": str(page.next_offset),
    }
    return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)


def _resumed(request: Request, start: int | None) -> int | None:
    """Where a browser that lost the connection says it was; EventSource repeats the first URL."""
    headers = {name: request.headers[name] for name in ("Last-Event-ID",) if request.headers.get(name)}
    if not headers:
        return start
    return query_int(headers, "Last-Event-ID", default=0, at_least=0, at_most=LARGEST_OFFSET)


def _stream(request: Request) -> logs.Stream | None:
    word = request.query_params.get("stream")
    if word is None or word in STREAMS:
        return STREAMS[word] if word else None
    raise Invalid.field("stream", f"{shown(word)} must be one of {', '.join(STREAMS)}")


def _search(request: Request) -> str:
    text = request.query_params.get("search", "")
    if len(text) > MAX_SEARCH or "\n" in text:
        raise Invalid.field("search", f"{shown(text)} must be at most {MAX_SEARCH} characters of one line")
    return text


def _is_text(request: Request) -> bool:
    word = request.query_params.get("format")
    if word is None:
        return request.get_preferred_type(["application/json", "text/plain"]) == "text/plain"
    if word not in ("json", "text"):
        raise Invalid.field("format", f"{shown(word)} must be one of json, text")
    return word == "text"
