"""Members of tar and zip archives, one after another, never written to disk under a name of the archive's."""

import gzip
import re
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from registry.datasets.facts import Unreadable
from registry.datasets.streams import GuardedStream, check_bomb, damage_told

MAX_MEMBERS = 1_000_000
MAX_EMPTY = 100_000
"""Folders and files without a byte: they are no samples, cost as much time, and nearly nothing to send."""
MAX_DIRECTORY_BYTES = 128 << 20
"""The most of a zip archive's table of contents: zipfile reads it whole, before any member can be counted."""
SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")
_BLOCK = 512
# Folders become names of classes, which are stored as UTF-8; tarfile gives bytes that are none as surrogates.
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_DRIVE = re.compile(r"[A-Za-z]:")
_STORED_OR_DEFLATED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_IS_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Member:
    """A regular file of an archive; `parts` is its path, folders first.

    `open` works until the next member is asked for.
    """

    name: str
    parts: tuple[str, ...]
    size_bytes: int
    open: Callable[[], GuardedStream]

    @property
    def suffix(self) -> str:
        stem, _, suffix = self.parts[-1].rpartition(".")  # as pathlib has it, which takes five times as long
        return f".{suffix.lower()}" if stem and suffix else ""


def members(path: Path, file_name: str) -> Generator[Member, None, None]:
    """The regular files of the archive, in its order, without hidden ones; Unreadable on the first bad member."""
    name = file_name.lower()
    if name.endswith(".zip"):
        return _visible(_zip_members(path))
    return _visible(_tar_members(path, is_compressed=not name.endswith(".tar")))


@contextmanager
def opened_member(path: Path, file_name: str, member_name: str) -> Iterator[GuardedStream]:
    """The first member of that name, from its start."""
    with closing(members(path, file_name)) as found:
        member = next(member for member in found if member.name == member_name)
        with member.open() as stream:
            yield stream


@contextmanager
def opened_zip_member(file: IO[bytes], member_name: str) -> Iterator[GuardedStream]:
    """The first member of that name of the zip archive in `file`, from its start."""
    with closing(zip_members(file)) as found:
        member = next(member for member in found if member.name == member_name)
        with member.open() as stream:
            yield stream


def shown(name: str) -> str:
    """A member's name as a message shows it: printable, and short."""
    text = ascii(name)
    return text if len(text) <= 100 else f"{text[:60]}...{text[-37:]}"


def _refuse_too_many(count: int, empty: int) -> None:
    if count > MAX_MEMBERS:
        raise Unreadable(f"the archive has more than {MAX_MEMBERS} members")
    if empty > MAX_EMPTY:
        raise Unreadable(f"the archive has more than {MAX_EMPTY} folders and empty files")


def _visible(found: Iterator[Member]) -> Generator[Member, None, None]:
    for member in found:
        is_hidden = any(part.startswith(".") or part == "__MACOSX" for part in member.parts)
        if member.parts and not is_hidden:
            yield member


def _parts(name: str) -> tuple[str, ...]:
    """The path `name` means, or Unreadable when it leads out of the archive or means different things to systems."""
    parts = name.split("/")
    if name.startswith("/") or _DRIVE.match(name):
        raise Unreadable(f"the member {shown(name)} has an absolute name")
    if ".." in parts:
        raise Unreadable(f"the member {shown(name)} leads out of the archive")
    if "\\" in name or "\0" in name:
        raise Unreadable(f"the member {shown(name)} has a backslash or a zero byte in its name")
    return tuple(_UNWRITABLE.sub(_escaped, part) for part in parts if part not in ("", "."))


def _escaped(match: re.Match[str]) -> str:
    return f"\\x{ord(match[0]):02x}"


def _tar_members(path: Path, *, is_compressed: bool) -> Generator[Member, None, None]:
    what = "the archive"
    if is_compressed:
        source = GuardedStream(gzip.GzipFile(path), what, packed_bytes=path.stat().st_size)
    else:
        source = GuardedStream(path.open("rb"), what)
    with source:
        with _tar_damage_told(0):
            tar = tarfile.TarFile(fileobj=source, mode="r")
        count = empty = 0
        while (info := _next_info(tar)) is not None:
            parts = _checked_tar(info)
            count += 1
            empty += not info.size
            _refuse_too_many(count, empty)
            if info.isreg():
                yield Member(info.name, parts, info.size, _tar_opener(tar, info))
        if source.last.count(0) != _BLOCK:
            raise Unreadable(f"the archive is damaged or cut off at byte {tar.offset}")
        source.drain()


def _next_info(tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    before = tar.offset
    with _tar_damage_told(before):
        info = tar.next()
    tar.members.clear()  # type: ignore[attr-defined]  # it would keep every member it ever saw
    if info is not None and (info.size < 0 or tar.offset <= info.offset):
        raise Unreadable(f"the archive is damaged at byte {before}")
    return info


@contextmanager
def _tar_damage_told(offset: int) -> Iterator[None]:
    try:
        yield
    except Unreadable:
        raise
    except (tarfile.TarError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        problem = f"is damaged or cut off at byte {offset}" if offset else "is not the tar archive its name says"
        raise Unreadable(f"the file {problem}") from error


def _checked_tar(info: tarfile.TarInfo) -> tuple[str, ...]:
    if info.issym() or info.islnk():
        raise Unreadable(f"the member {shown(info.name)} is a link")
    if not (info.isreg() or info.isdir()) or info.issparse():
        raise Unreadable(f"the member {shown(info.name)} is neither a plain file nor a folder")
    return _parts(info.name)


def _tar_opener(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], GuardedStream]:
    def opened() -> GuardedStream:
        file = tar.extractfile(info)
        assert file is not None  # a regular member
        return GuardedStream(file, f"the member {shown(info.name)}")

    return opened


def _zip_members(path: Path) -> Generator[Member, None, None]:
    with path.open("rb") as file:
        yield from zip_members(file)


def zip_members(file: IO[bytes]) -> Generator[Member, None, None]:
    """The regular files of the zip archive in `file` (seekable)."""
    _check_directory(file)
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise Unreadable("the file is not the zip archive its name says, or is damaged or cut off") from error
    with archive:
        infos = archive.infolist()
        _refuse_too_many(len(infos), sum(not info.file_size for info in infos))
        check_bomb(
            "the archive",
            unpacked_bytes=sum(info.file_size for info in infos),
            packed_bytes=file.seek(0, 2),
        )
        for info in infos:
            parts = _checked_zip(info)
            if not info.is_dir():
                yield Member(info.orig_filename, parts, info.file_size, _zip_opener(archive, info))


def _checked_zip(info: zipfile.ZipInfo) -> tuple[str, ...]:
    parts = _parts(info.orig_filename)  # `filename` was cut at a zero byte
    name, mode = shown(info.orig_filename), info.external_attr >> 16
    if stat.S_ISLNK(mode):
        raise Unreadable(f"the member {name} is a link")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Unreadable(f"the member {name} is neither a plain file nor a folder")
    if info.flag_bits & _IS_ENCRYPTED:
        raise Unreadable(f"the member {name} is encrypted")
    if info.compress_type not in _STORED_OR_DEFLATED:
        raise Unreadable(f"the member {name} is packed by method {info.compress_type}; store or deflate it")
    return parts


def _zip_opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], GuardedStream]:
    def opened() -> GuardedStream:
        what = f"the member {shown(info.orig_filename)}"
        try:
            with damage_told(what):
                return GuardedStream(archive.open(info), what)
        except (ValueError, struct.error) as error:
            raise Unreadable(f"{what} is damaged") from error

    return opened


def _check_directory(file: IO[bytes]) -> None:
    """Refuse a table of contents that would not fit in memory, by the sizes in the records at the file's end."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 66_000))
    tail = file.read(66_000)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) - end < 22:
        raise Unreadable("the file is not the zip archive its name says, or is cut off: it has no table of contents")
    (directory_bytes,) = struct.unpack_from("<I", tail, end + 12)
    wide = tail.rfind(b"PK\x06\x06", 0, end)
    if wide >= 0 and len(tail) - wide >= 48:
        directory_bytes = max(struct.unpack_from("<Q", tail, wide + 40)[0], directory_bytes % 0xFFFFFFFF)
    if directory_bytes > MAX_DIRECTORY_BYTES and directory_bytes != 0xFFFFFFFF:
        raise Unreadable(f"the archive's table of contents is larger than {MAX_DIRECTORY_BYTES >> 20} MiB")
