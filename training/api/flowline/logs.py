"""F9, F10, F18, F19: log files by name, their last lines parsed or as text."""

import re

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from mlserver.api.flowline_view import FlowlineView
from mlserver.api.parsing import query_int
from mlserver.api.rendering import json_response
from mlserver.api.schema import whole_parameter
from mlserver.errors import Invalid, NotFound, shown
from mlserver.local_time import local_time
from mlserver.paths import server_logs_root
from training.api.flowline.log_files import SERVER_LOG, LogFile, all_files, find_process_log
from training.api.flowline.schemas import LogFiles, LogLines, PlainLogFile
from training.tracking import logs
from training.tracking.job_files import opened_below
from training.tracking.logs.plain import tail_of_file

TAGS = ["flowline"]
DEFAULT_PARSED, DEFAULT_TEXT = 100, 1000
MAX_SEARCH = 1000
LEVELS = ("debug", "info", "warning", "error")
# `[2026-03-07 09:15:02,123] [INFO] - text`
PARSED = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:,\d{1,6})?\] \[([A-Za-z]+)\] - (.*)", re.DOTALL)
KIB, MIB = 1024, 1024**2
NAME = OpenApiParameter("log_file_name", str, "path", description="as the list names it")


def lines_parameter(default: int) -> OpenApiParameter:
    return whole_parameter("maxLines", "last lines", default=default, at_least=1, at_most=logs.MAX_LINES)


class LogFileList(FlowlineView):
    @extend_schema(tags=TAGS, operation_id="flowline_log_files", summary="List log files", responses=LogFiles)
    def get(self, request: Request) -> HttpResponse:
        """F9: of the server, and of its newest processes."""
        return json_response({"files": [_file_json(file) for file in all_files()]})


class PlainLogFileList(FlowlineView):
    @extend_schema(
        tags=TAGS, operation_id="flowline_logs", summary="List log files, sizes in bytes",
        responses=PlainLogFile(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> HttpResponse:
        """F18."""
        files = [
            {"name": file.name, "size": file.size_bytes, "modified": local_time(file.modified_at)}
            for file in all_files()
        ]
        return json_response(files)


class ParsedLog(FlowlineView):
    @extend_schema(
        tags=TAGS, operation_id="flowline_log", summary="Last lines of a log, parsed",
        parameters=[NAME, lines_parameter(DEFAULT_PARSED)], responses=LogLines,
    )  # fmt: skip
    def get(self, request: Request, log_file_name: str) -> HttpResponse:
        """F10: `[time] [LEVEL] - text` is taken apart; blank lines are left out after the last ones were taken."""
        lines = last_lines(log_file_name, _max_lines(request, DEFAULT_PARSED))
        return json_response({"lines": [_line_json(line) for line in lines if line.strip()]})


class TextLog(FlowlineView):
    @extend_schema(
        tags=TAGS, operation_id="flowline_log_text", summary="Last lines of a log as text",
        parameters=[
            NAME, lines_parameter(DEFAULT_TEXT),
            OpenApiParameter("search", str, description="only lines that contain it, in any case"),
            OpenApiParameter("level", str, enum=LEVELS, description="only lines of this level"),
        ],
        responses={(200, "text/plain"): OpenApiTypes.STR},
    )  # fmt: skip
    def get(self, request: Request, log_file_name: str) -> HttpResponse:
        """F19."""
        needle, level = _search(request), _level(request)
        lines = last_lines(log_file_name, _max_lines(request, DEFAULT_TEXT))
        wanted = [line for line in lines if needle in line.lower() and (not level or _has_level(line, level))]
        headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
        return HttpResponse("\n".join(wanted), content_type="text/plain; charset=utf-8", headers=headers)


def last_lines(name: str, count: int) -> list[str]:
    """Raises NotFound for a name that no list has."""
    found = find_process_log(name)
    if found is not None:
        process, stream = found
        page = logs.tail(process.run, process.rank, count, logs.Selection(stream=stream, collapse=True))
        return [line.text for line in page.lines]
    if SERVER_LOG.fullmatch(name):
        with opened_below(server_logs_root(), server_logs_root() / name) as file:
            if file is not None:
                return tail_of_file(file, count)
    raise NotFound(f"there is no log {shown(name)}")


def _file_json(file: LogFile) -> dict[str, object]:
    return {
        "name": file.name,
        "fullPath": str(file.path),
        "size": size_text(file.size_bytes),
        "lastModified": local_time(file.modified_at),
    }


def size_text(size_bytes: int) -> str:
    if size_bytes > MIB:
        return f"{size_bytes / MIB:.1f}MB"
    return f"{size_bytes / KIB:.1f}KB" if size_bytes > KIB else f"{size_bytes}B"


def _line_json(line: str) -> dict[str, str]:
    match = PARSED.fullmatch(line)
    timestamp, level, message = match.groups() if match else ("", "", line)
    return {"timestamp": timestamp, "level": level, "message": message}


def _max_lines(request: Request, default: int) -> int:
    return query_int(request.query_params, "maxLines", default=default, at_least=1, at_most=logs.MAX_LINES)


def _search(request: Request) -> str:
    text = request.query_params.get("search", "")
    if len(text) > MAX_SEARCH:
        raise Invalid.field("search", f"{shown(text)} must be at most {MAX_SEARCH} characters")
    return text.lower()


def _level(request: Request) -> str:
    word = request.query_params.get("level", "").lower()
    if word and word not in LEVELS:
        raise Invalid.field("level", f"{shown(word)} must be one of {', '.join(LEVELS)}")
    return word


def _has_level(line: str, level: str) -> bool:
    """The word of a parsed line; of any other line a word that stands in it, in capitals."""
    match = PARSED.fullmatch(line)
    if match is not None:
        return match[2].lower() == level
    return re.search(rf"\b{level.upper()}\b", line) is not None
