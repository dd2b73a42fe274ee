"""Uploads as clients send them: forms written by hand, so that they can be wrong."""

from typing import Any

from django.http import HttpResponse
from django.test import Client

BOUNDARY = "the-boundary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def part(content: bytes, *, name: str = "file", file_name: str | None = "net.pth") -> bytes:
    called = "" if file_name is None else f'; filename="{file_name}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{called}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def send(client: Client, path: str, body: bytes, *, content_type: str = FORM, **headers: Any) -> HttpResponse:
    # Named twice: of an empty body the client forgets the type.
    return client.generic("POST", path, body, content_type=content_type, CONTENT_TYPE=content_type, headers=headers)  # type: ignore[return-value]
