"""Answers that are too large to be waited for without a sign."""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import requests

from mlserver_client.api.exceptions import ConnectionError
from mlserver_client.api.progress import progress

BLOCK_BYTES = 1024**2


def received(response: requests.Response, label: str, *, wanted: bool | None) -> Iterator[bytes]:
    """The body in blocks, with a progress bar; raises ConnectionError when it breaks off."""
    total = response.headers.get("Content-Length", "")
    with response, progress(label, int(total) if total.isdigit() else None, wanted=wanted) as advance:
        try:
            for block in response.iter_content(BLOCK_BYTES):
                advance(len(block))
                yield block
        except requests.exceptions.RequestException as error:
            raise ConnectionError(f"{label} broke off: {error}") from error


def save(response: requests.Response, path: Path, *, digest: str | None, wanted: bool | None) -> None:
    """Write the body to `path`, whole or not at all; `digest` is `sha256:<hex>`.

    Raises ConnectionError when it breaks off or is not what the digest says.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    found = hashlib.sha256()
    try:
        with open(draft, "wb") as file:
            for block in received(response, path.name, wanted=wanted):
                found.update(block)
                file.write(block)
        if digest and digest.removeprefix("sha256:") != found.hexdigest():
            raise ConnectionError(f"{path.name} arrived damaged: its digest is not {digest}")
        draft.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
