"""The only place that builds paths of stored content, and the way of bytes into the store.

Each content lies once, under its digest: `$MLSERVER_HOME/blobs/sha256/ab/<digest>`, read only. Bytes come in under a
name of their own (`.incoming-...`), locked while their writer lives; what is killed is known by its released lock.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from django.conf import settings

from mlserver.errors import Invalid, OutOfSpace, shown
from registry.job_access import let_jobs_read
from registry.store_lock import StoreInUse

INCOMING = ".incoming-"
LONGEST_UPLOADED_NAME = 100
# `<architecture>_<dataset>` of a dataset whose name is as long as it may be.
LONGEST_NAME = 200
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
DIGEST = re.compile(r"[0-9a-f]{64}")
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# What file systems say that have no hard links, or too many of one file already.
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV)


def is_name(name: str) -> bool:
    """Whether an artifact may have this name; every other name can be answered with "unknown" at once."""
    return len(name) <= LONGEST_NAME and NAME.fullmatch(name) is not None


def check_name(name: str, field: str = "name") -> str:
    """`name` as it is; Invalid (422) naming `field` unless it may be given to something that is uploaded."""
    if len(name) > LONGEST_UPLOADED_NAME or not is_name(name):
        rule = f"must be 1 to {LONGEST_UPLOADED_NAME} of A-Z a-z 0-9 . _ - and start with a letter or digit"
        raise Invalid.field(field, f"{rule}, not {shown(name)}")
    return name


def blobs_root() -> Path:
    return settings.MLSERVER_HOME / "blobs"


def path_of(digest: str) -> Path:
    """Where the content with this SHA-256 lies, there or not. Raises ValueError for what is no digest."""
    if DIGEST.fullmatch(digest) is None:
        raise ValueError(f"{digest!r} is not a SHA-256 in hexadecimal")
    return blobs_root() / "sha256" / digest[:2] / digest


class Incoming:
    """One file on its way into the store; digest and size are known when the last byte was written.

    As a context manager it leaves nothing behind of what was not kept. Calls may come from different threads, one
    after another.
    """

    def __init__(self, file: int, path: Path) -> None:
        self._file = file
        self.path = path
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._digest = ""
        self.in_use: StoreInUse | None = None

    @classmethod
    def create(cls) -> "Incoming":
        """An empty one. Raises OutOfSpace."""
        with refusing_when_full():
            blobs_root().mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls(*open_incoming(blobs_root()))

    def __enter__(self) -> "Incoming":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.discard()

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`. Raises OutOfSpace, and then nothing is left of the file."""
        if self._file < 0 or self._digest:
            raise ValueError("this file was kept or discarded: nothing more can be written to it")
        try:
            with refusing_when_full():
                write_whole(self._file, data)
        except OutOfSpace:
            self.discard()
            raise
        self._hash.update(data)
        self.size_bytes += len(data)

    def keep(self) -> str:
        """Put the content in its place, safe from a loss of power, and return its digest. May be repeated.

        Until `discard` or the end of the `with` block it cannot be taken for content that nothing refers to.
        Of two files of one content, also at the same moment, one stays. Raises OutOfSpace, and then nothing is left.
        """
        if self._digest:
            return self._digest
        if self._file < 0:
            raise ValueError("this file was discarded: there is nothing to keep")
        digest = self._hash.hexdigest()
        try:
            with refusing_when_full():
                let_jobs_read(self._file)
                os.fsync(self._file)
                self.in_use = StoreInUse()
                self._place(path_of(digest))
        except OutOfSpace:
            self.discard()
            raise
        self._digest = digest
        return digest

    def _place(self, target: Path) -> None:
        for directory in (target.parent.parent, target.parent):
            directory.mkdir(mode=0o700, exist_ok=True)
        try:
            os.link(self.path, target)
        except FileExistsError:
            if target.stat().st_size != self.size_bytes:  # damaged on disk; these bytes are what the digest says
                self.path.replace(target)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            self.path.replace(target)
        self.path.unlink(missing_ok=True)
        for directory in (target.parent, target.parent.parent, blobs_root()):
            sync_directory(directory)

    def discard(self) -> None:
        """Remove what was written and not kept; what was kept stays, and may now be found to be unused."""
        if self._file < 0:
            return
        if not self._digest:
            self.path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1
        self.in_use = None


def open_incoming(directory: Path) -> tuple[int, Path]:
    """A new file under a name that upkeep knows, locked as long as the descriptor is open."""
    while True:
        path = directory / f"{INCOMING}{secrets.token_hex(8)}"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file).st_nlink:
                return file, path
        os.close(file)  # upkeep came between the two calls and took it for a dead one


def write_whole(file: int, data: bytes | memoryview) -> None:
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[os.write(file, rest) :]


def sync_directory(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextlib.contextmanager
def refusing_when_full() -> Iterator[None]:
    """A full disk or quota becomes OutOfSpace; other errors of the disk stay what they are."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise OutOfSpace("the server's disk is full: nothing was stored; free space there and try again") from error
        raise
