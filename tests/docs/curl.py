"""The curl calls of a page, made with Django's client: `# STATUS` stands above each."""

import re
import shlex
from pathlib import Path
from typing import Any

from django.http.response import HttpResponseBase
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

CALL = re.compile(r"^# (\d{3})\n(curl (?:.*\\\n)*.*)$", re.MULTILINE)


def call(line: str, variables: dict[str, str], folder: Path | None = None) -> Any:
    """One call. `folder` has the files that forms send, and takes what `-o` writes."""
    method, headers, body, url, output = "GET", {}, b"", "", ""
    words = words_of(line, variables)
    while words:
        match words.pop(0):
            case "-X":
                method = words.pop(0)
            case "-H":
                name, _, headers[name] = words.pop(0).partition(": ")
            case "-d":
                body = words.pop(0).encode()
            case "-F":
                method, body, headers["Content-Type"] = "POST", form(words.pop(0), folder), MULTIPART_CONTENT
            case "-r":
                headers["Range"] = f"bytes={words.pop(0)}"
            case "-o":
                output = words.pop(0)
            case word:
                url = word
    kind = headers.pop("Content-Type", "application/octet-stream")
    answer = Client(headers=headers).generic(method, url, body, content_type=kind)
    if output and folder is not None:
        (folder / output).write_bytes(content_of(answer))
    return answer


def words_of(line: str, variables: dict[str, str]) -> list[str]:
    """As a shell would split them, variables replaced outside single quotes; without `curl`, `-N` and `-f`."""
    quoted = re.sub(r"'[^']*'", lambda found: found[0].replace("$", "\0"), line.replace("\\\n", " "))
    for name, value in variables.items():
        quoted = quoted.replace(f"${name}", value)
    return [word for word in shlex.split(quoted.replace("\0", "$"))[1:] if word not in ("-N", "-f")]


def form(field: str, folder: Path | None) -> bytes:
    """`file=@NAME` as a form with that file."""
    name, _, path = field.partition("=@")
    assert folder is not None, f"no folder for {field}"
    with (folder / path).open("rb") as file:
        return encode_multipart(BOUNDARY, {name: file})


def content_of(answer: HttpResponseBase) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
