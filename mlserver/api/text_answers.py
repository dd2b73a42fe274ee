"""Long text as an answer: made and sent piece by piece, or at once with its length when it is short."""

from collections.abc import Iterator, Mapping

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

from mlserver.api.downloads import SAFE


def text_answer(
    pieces: Iterator[bytes], content_type: str, *, is_short: bool, headers: Mapping[str, str] | None = None
) -> HttpResponseBase:
    """Each piece is made in a thread, when the one before has left; so one must take no longer than some ms."""
    if not is_short:
        return StreamingHttpResponse(pieces, content_type=content_type, headers=dict(headers or {}))
    content = b"".join(pieces)
    named = {"Content-Length": str(len(content)), **(headers or {})}
    return HttpResponse(content, content_type=content_type, headers=named)


def attachment(file_name: str) -> dict[str, str]:
    """Headers of what is saved and not shown: it may hold anything that users wrote."""
    return {**SAFE, "Content-Disposition": content_disposition_header(True, file_name) or "attachment"}
