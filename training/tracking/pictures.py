"""The files of pictures: which kind one is by its content, and keeping those that come over HTTP."""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from typing import IO

from mlserver.errors import Conflict, Invalid, shown
from registry.blobs import refusing_when_full, write_whole
from training import paths
from training.models import Run
from training.tracking.job_files import opened_at
from training.tracking.own_files import made_folder, refuse_others

HEAD_BYTES = 32
BLOCK_BYTES = 256 * 1024
# By the bytes that a file of the kind begins with. None of these formats can carry a script.
KINDS = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
    # Two letters alone could begin a text: four bytes of zero and the length of one of its headers follow.
    "image/bmp": re.compile(rb"BM.{4}\0{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0{3}", re.DOTALL),
}
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def kind_of(head: bytes) -> str | None:
    """The media type of what begins with `head`; None for what is no picture."""
    return next((kind for kind, begins in KINDS.items() if begins.match(head)), None)


def checked_name(name: str) -> str:
    """A name that a file in `media/` can have. Raises Invalid."""
    if not name.isprintable() or name.startswith(".") or "/" in name or not 0 < len(name.encode()) <= 240:
        raise Invalid.field("file", f"{shown(name)} must be a name of at most 240 bytes that begins with no dot")
    return name


def keep(run: Run, name: str, content: IO[bytes]) -> bool:
    """Put a picture into `media/` of a run outside the queue; False when the very same lay there.

    Of two at once under one name one is kept. Raises Invalid for what is no picture, Conflict for another picture of
    that name and for runs that the server executes, OutOfSpace.
    """
    refuse_others(run)
    content.seek(0)
    if kind_of(content.read(HEAD_BYTES)) is None:
        raise Invalid.field("file", f"{shown(name)} is no picture: PNG, JPEG, WebP, GIF and BMP are taken")
    with refusing_when_full(), made_folder(run, paths.MEDIA_NAME) as folder, _draft(folder, content) as draft:
        try:
            os.link(draft, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError as error:
            if not _is_same(folder, name, content):
                raise Conflict(f"run {run.pk} has another picture {shown(name)}") from error
            return False
    return True


@contextlib.contextmanager
def _draft(folder: int, content: IO[bytes]) -> Iterator[str]:
    """A copy of `content` under a hidden name, which goes at the end."""
    name = f".incoming-{secrets.token_hex(8)}"
    file = os.open(name, NEW, 0o640, dir_fd=folder)
    try:
        content.seek(0)
        while block := content.read(BLOCK_BYTES):
            write_whole(file, block)
        yield name
    finally:
        os.close(file)
        os.unlink(name, dir_fd=folder)


def _is_same(folder: int, name: str, content: IO[bytes]) -> bool:
    content.seek(0)
    with opened_at(folder, name) as kept:
        if kept is None:
            return False
        start = 0
        while block := content.read(BLOCK_BYTES):
            if kept.read(start, start + len(block)) != block:
                return False
            start += len(block)
        return start == kept.size
