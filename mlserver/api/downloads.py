"""A stored file as an answer: whole or a range of it (RFC 9110, sections 13 and 14), read piece by piece."""

import os
import re
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

from mlserver.api.bodies import Failure
from mlserver.api.failures import answer

# Each is one turn in a thread and one write to the connection.
BLOCK_BYTES = 1024**2
# One range; of several the whole file may be answered instead. 19 digits: no file is longer.
RANGE = re.compile(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*", re.ASCII)
ETAG = re.compile(r'(?:W/)?"[^"]*"')
SAFE = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}


class Unsatisfiable(Exception):
    """The range begins behind the end of the file."""


def download(request: HttpRequest, path: Path, *, digest: str, file_name: str) -> HttpResponseBase:
    """`path` as an attachment called `file_name`; `digest` names its content. Raises FileNotFoundError.

    The file is open from here on, so it may be deleted while it is sent.
    """
    return download_open(request, path.open("rb", buffering=0), digest=digest, file_name=file_name)


def download_open(
    request: HttpRequest, file: FileIO, *, digest: str, file_name: str, content_type: str = "application/octet-stream"
) -> HttpResponseBase:
    """A file that is open, which is closed when it was sent. `content_type`: of what no browser executes."""
    etag = f'"{digest}"'
    headers = {**SAFE, "ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if _is_known(request, etag):
        file.close()
        return HttpResponse(status=304, headers=headers)
    size = os.fstat(file.fileno()).st_size
    try:
        part = _asked_part(request, etag, size)
    except Unsatisfiable:
        file.close()
        said = Failure(416, f"the range is refused: the file has {size} bytes", "range_not_satisfiable")
        refusal = answer(request, said)
        refusal.headers["Content-Range"] = f"bytes */{size}"
        return refusal
    start, end = part or (0, size)
    headers["Content-Length"] = str(end - start)
    headers["Content-Disposition"] = content_disposition_header(True, file_name) or "attachment"
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    about = {"content_type": content_type, "status": 200 if part is None else 206, "headers": headers}
    if request.method == "HEAD":
        file.close()
        return HttpResponse(**about)
    return StreamingHttpResponse(_Part(file, start, end - start), **about)


class _Part:
    """Bytes of a file, in blocks. An iterator with `close`, which Django and the server call."""

    def __init__(self, file: FileIO, start: int, size: int) -> None:
        file.seek(start)
        self._file = file
        self._left = size

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._left:
            raise StopIteration
        block = self._file.read(min(BLOCK_BYTES, self._left))
        if not block:
            raise OSError(f"{self._left} bytes are missing at the end of {self._file.name}")
        self._left -= len(block)
        return block

    def close(self) -> None:
        self._file.close()


def _is_known(request: HttpRequest, etag: str) -> bool:
    """Whether the client has this content; weak comparison, as If-None-Match wants it."""
    known = request.headers.get("If-None-Match", "")
    return known.strip() == "*" or etag in (tag.removeprefix("W/") for tag in ETAG.findall(known))


def _asked_part(request: HttpRequest, etag: str, size: int) -> tuple[int, int] | None:
    """Start and end (exclusive) of the one range that is asked for; None: the whole file. Raises Unsatisfiable."""
    asked = RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or request.method != "GET" or request.headers.get("If-Range", etag).strip() != etag:
        return None
    first, last = asked.groups()
    if not first and not last:
        return None
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise Unsatisfiable
    return start, end
