"""A form with one file (RFC 7578) on its way into the blob store, piece by piece as it arrives."""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from django.conf import settings
from django.http import HttpResponse
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from mlserver.errors import BadRequest, Invalid, TooLarge, shown
from registry.blobs import Incoming
from registry.datasets.facts import Facts

PART = "file"
MAX_PARTS = 32
MAX_FIELD_BYTES = 64 * 1024
MAX_NAME_CHARACTERS = 255
# What the parser says begins so; the first that fits is taken.
FAULTS = {
    "failed to decode": "the header of a part is not UTF-8",
    "segment count": f"it has more than {MAX_PARTS} parts",
    "segment header length": "the header of a part is too long",
    "segment header count": "a part has too many headers",
    "Content-Disposition": "a part does not say its name",
    "segment header": "the header of a part is malformed",
    "Content-Length": "a part is not as long as its header says",
    "end of": "it ends before the form does, or goes on behind it",
    "boundary": "its parts are not divided by the boundary that Content-Type names",
}
# The way of clients older than RFC 7578 to send a name that is not ASCII.
EXTENDED_NAME = re.compile(r"filename\*=utf-8'[\w-]*'([^;\s]+)", re.IGNORECASE)


class FileReceiver:
    """Takes the part `file`; other parts are read and forgotten. See mlserver.api.uploads.Receiver.

    `publish(incoming, file_name, facts)` is called when the whole form was read; what it does not keep is removed.
    The facts are what `inspect(path, file_name)` found before, None without it; `user` is who waits for that.
    Raises BadRequest for what is no form or ends too early, Invalid for a form without its one file, TooLarge, and
    OutOfSpace.
    """

    def __init__(
        self,
        content_type: str,
        publish: Callable[[Incoming, str, Facts | None], HttpResponse],
        *,
        inspect: Callable[[Path, str], Facts] | None = None,
        user: int | None = None,
    ) -> None:
        self._boundary = boundary_of(content_type)
        self._parser = PushMultipartParser(self._boundary, max_segment_count=MAX_PARTS)
        self._publish = publish
        self._inspect = inspect
        self.checked_for = user if inspect is not None else None
        self._facts: Facts | None = None
        self._part: MultipartSegment | None = None
        self._incoming: Incoming | None = None
        self._file_name = ""
        self._has_begun = False

    def write(self, data: bytes) -> None:
        if not self._has_begun:
            self._begin(data)
        try:
            for event in self._parser.parse(data):
                if isinstance(event, MultipartSegment):
                    self._begin_part(event)
                elif event is not None:
                    self._take(event)
        except MultipartError as error:
            raise _unreadable(said_of(error)) from error

    def check(self) -> None:
        if self._inspect is None:
            return
        with contextlib.ExitStack() as refused:
            refused.callback(self.abort)
            self._facts = self._inspect(self._whole().path, self._file_name)
            refused.pop_all()

    def finish(self) -> HttpResponse:
        with self._whole() as incoming:
            return self._publish(incoming, self._file_name, self._facts)

    def abort(self) -> None:
        if self._incoming is not None:
            self._incoming.discard()

    def _whole(self) -> Incoming:
        try:
            self._parser.close()
        except MultipartError as error:
            raise _unreadable("it ends before the form does") from error
        if self._incoming is None:
            raise Invalid.field(PART, "the form has no part of this name")
        return self._incoming

    def _begin(self, data: bytes) -> None:
        """What does not begin like a form is refused at once: the parser would look for the form to its end."""
        self._has_begun = True
        if not data.removeprefix(b"\r\n").startswith(b"--" + self._boundary):
            raise _unreadable("it does not begin with the boundary that Content-Type names")

    def _begin_part(self, part: MultipartSegment) -> None:
        self._part = part
        if part.name != PART:
            return
        if self._incoming is not None:
            raise Invalid.field(PART, "it was sent twice, one file is taken")
        self._file_name = _file_name(part)
        self._incoming = Incoming.create()

    def _take(self, data: bytes) -> None:
        assert self._part is not None
        if self._part.name != PART or self._incoming is None:
            if self._part.bytes_received > MAX_FIELD_BYTES:
                said = f"the field {shown(self._part.name or '')} has more than {MAX_FIELD_BYTES} bytes"
                raise Invalid.field(PART, f"it alone may be long, and {said}")
            return
        if self._part.bytes_received > settings.MAX_UPLOAD_BYTES:
            raise TooLarge(f"the upload is refused: a file has at most {settings.MAX_UPLOAD_BYTES} bytes")
        self._incoming.write(data)


def boundary_of(content_type: str) -> bytes:
    """Raises Invalid for a body that is no form and so has no file, BadRequest for a form that cannot be read."""
    kind, options = parse_options_header(content_type)
    if kind != "multipart/form-data":
        said = f"a body of type {shown(kind)}" if kind else "a body without a type"
        raise Invalid.field(PART, f"it must be sent as a part of a multipart/form-data body; {said} has none")
    boundary: str = options.get("boundary", "")
    # RFC 2046, section 5.1.1.
    if not 1 <= len(boundary) <= 70 or not boundary.isascii() or not boundary.isprintable():
        raise _unreadable("its Content-Type names no boundary of 1 to 70 characters")
    return boundary.encode()


def _file_name(part: MultipartSegment) -> str:
    """Without the directories that some clients send along."""
    name = part.filename or _extended_name(part)
    name = re.split(r"[/\\]", name)[-1].strip()
    if not name or name in (".", ".."):
        raise Invalid.field(PART, "the part must be a file, with its name as `filename`")
    if len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        rule = f"must be at most {MAX_NAME_CHARACTERS} printable characters"
        raise Invalid.field(PART, f"its filename {shown(name)} {rule}")
    return name


def _extended_name(part: MultipartSegment) -> str:
    for name, value in part.headerlist:
        if name == "Content-Disposition" and (found := EXTENDED_NAME.search(value)):
            return unquote(found[1])
    return ""


def said_of(error: MultipartError) -> str:
    """Of the parser's own words only which fault it was: some of them show its insides."""
    words = str(error)
    for word, why in FAULTS.items():
        if word in words:
            return why
    return "it is no form as RFC 7578 has it"


def _unreadable(why: str) -> BadRequest:
    return BadRequest(f"the upload is unreadable: {why}")
