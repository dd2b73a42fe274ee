"""A form with one file (RFC 7578), taken piece by piece as it arrives."""

import re
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar
from urllib.parse import unquote

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from mlserver.errors import BadRequest, Invalid, TooLarge, shown

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


class Sink(Protocol):
    """Where the bytes of the file go."""

    def write(self, data: bytes) -> object: ...
    def discard(self) -> object: ...


SinkT = TypeVar("SinkT", bound=Sink)


class FileForm(Generic[SinkT]):
    """The part `file` goes into what `create` makes, other parts into `fields`.

    `max_bytes` is asked when the file grows. Raises BadRequest for what is no form or ends too early, Invalid for a
    form without its one file, TooLarge.
    """

    def __init__(self, content_type: str, create: Callable[[], SinkT], max_bytes: Callable[[], int]) -> None:
        self._boundary = boundary_of(content_type)
        self._parser = PushMultipartParser(self._boundary, max_segment_count=MAX_PARTS)
        self._create, self._max_bytes = create, max_bytes
        self._part: MultipartSegment | None = None
        self._sink: SinkT | None = None
        self._said: dict[str, bytes] = {}
        self._has_begun = False
        self.file_name = ""

    def write(self, data: bytes) -> None:
        """The next bytes of the body."""
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

    def whole(self) -> SinkT:
        """The file, once the body has ended."""
        try:
            self._parser.close()
        except MultipartError as error:
            raise _unreadable("it ends before the form does") from error
        if self._sink is None:
            raise Invalid.field(PART, "the form has no part of this name")
        return self._sink

    @property
    def fields(self) -> dict[str, str]:
        """Text by the name of its part, the last of a name. Raises Invalid for what is not UTF-8."""
        found = {}
        for name, content in self._said.items():
            try:
                found[name] = content.decode()
            except UnicodeDecodeError as error:
                raise Invalid.field(name, "it is not UTF-8") from error
        return found

    def discard(self) -> None:
        if self._sink is not None:
            self._sink.discard()

    def _begin(self, data: bytes) -> None:
        """What does not begin like a form is refused at once: the parser would look for the form to its end."""
        self._has_begun = True
        if not data.removeprefix(b"\r\n").startswith(b"--" + self._boundary):
            raise _unreadable("it does not begin with the boundary that Content-Type names")

    def _begin_part(self, part: MultipartSegment) -> None:
        self._part = part
        if part.name != PART:
            self._said[part.name or ""] = b""
            return
        if self._sink is not None:
            raise Invalid.field(PART, "it was sent twice, one file is taken")
        self.file_name = _file_name(part)
        self._sink = self._create()

    def _take(self, data: bytes) -> None:
        assert self._part is not None
        if self._part.name != PART or self._sink is None:
            if self._part.bytes_received > MAX_FIELD_BYTES:
                said = f"the field {shown(self._part.name or '')} has more than {MAX_FIELD_BYTES} bytes"
                raise Invalid.field(PART, f"it alone may be long, and {said}")
            self._said[self._part.name or ""] += data
            return
        if self._part.bytes_received > self._max_bytes():
            raise TooLarge(f"the upload is refused: a file has at most {self._max_bytes()} bytes")
        self._sink.write(data)


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
