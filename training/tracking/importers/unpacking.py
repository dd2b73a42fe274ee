"""Archives of runs, put into a storage root: nothing in them may lie elsewhere, replace anything, or fill the disk.

Everything is written into a closed directory first; a run is moved into place whole, and only where there is none.
"""

import contextlib
import os
import secrets
import shutil
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mlserver.errors import Invalid, OutOfSpace
from mlserver.text import is_storable
from registry.datasets.facts import Unreadable
from registry.datasets.streams import check_bomb
from training.models import Run, RunAlias
from training.models.run import RUN_ID
from training.tracking.importers.layout import NO_PROJECTS, RUNS, Experiment, Folder

SUFFIXES = (".zip", ".tar.gz", ".tgz", ".tar")
MOST_MEMBERS, DEEPEST, SEGMENT_BYTES = 1_000_000, 16, 255
BLOCK_BYTES, SPARE_BYTES = 1024**2, 512 * 1024**2
STAGE = ".import-"
STALE_S = 86_400.0
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError)


@dataclass
class Unpacked:
    """`files` of the `folders` that are new; `skipped`: members that are no files of runs; `known`: runs left alone."""

    folders: list[Folder] = field(default_factory=list)
    files: int = 0
    skipped: int = 0
    known: list[str] = field(default_factory=list)


def unpack(archive: Path, root: Path, *, name: str = "") -> Unpacked:
    """Bring the runs of `archive` into `root`; `name` says what it is, if its path does not.

    Links, special files and names that lead elsewhere are passed over. Raises Invalid for what is no archive, is
    damaged or unpacks to much more than it should, OutOfSpace when the disk is full: then nothing is brought.
    """
    remove_stale(root)
    stage = root / f"{STAGE}{secrets.token_hex(4)}"
    stage.mkdir(mode=0o700, parents=True)
    found = Unpacked()
    try:
        write_all(archive, name or archive.name, stage, found)
        move_all(stage, root, found)
    except DAMAGE as error:
        raise Invalid.field("archive", f"{archive.name} cannot be read: {error}") from error
    except Unreadable as error:
        raise Invalid.field("archive", str(error)) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return found


def write_all(archive: Path, name: str, stage: Path, found: Unpacked) -> None:
    packed, unpacked = archive.stat().st_size, 0
    for count, (member, content) in enumerate(members(archive, name.lower())):
        if count >= MOST_MEMBERS:
            raise Unreadable(f"the archive has more than {MOST_MEMBERS} members")
        parts = parts_of(member)
        if content is None or parts is None:
            found.skipped += 1
            continue
        target = stage.joinpath(*parts)
        target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), target.open("xb") as file:
            while block := content.read(BLOCK_BYTES):
                unpacked += len(block)
                check_bomb("the archive", unpacked_bytes=unpacked, packed_bytes=packed)
                refuse_without_space(stage, len(block))
                file.write(block)


def members(archive: Path, name: str) -> Iterator[tuple[str, IO[bytes] | None]]:
    """Name and content of each member, in their order; no content for what is no plain file."""
    if not name.endswith(SUFFIXES):
        raise Invalid.field("archive", f"{archive.name} is none of {', '.join(SUFFIXES)}")
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if info.is_dir() or kind not in (0, stat.S_IFREG):
                    yield info.orig_filename, None
                else:
                    with packed.open(info) as content:
                        yield info.orig_filename, content
        return
    with tarfile.open(archive, "r|" if name.endswith(".tar") else "r|gz") as stream:
        for member in stream:
            yield member.name, stream.extractfile(member) if member.isreg() else None


def parts_of(name: str) -> tuple[str, ...] | None:
    """Where a file of a run lies, relative to the root; None for any other name."""
    parts = tuple(part for part in name.split("/") if part != ".")
    if name.startswith("/") or len(parts) > DEEPEST or not all(map(is_segment, parts)) or name.endswith(".lock"):
        return None
    at = 3 if len(parts) > 2 and parts[2] == RUNS else 1
    is_run = len(parts) > at + 1 and parts[at - 1] == RUNS and RUN_ID.fullmatch(parts[at]) is not None
    is_place = parts[0] not in NO_PROJECTS and not any(part.startswith(".") for part in parts[:at])
    return parts if is_run and is_place else None


def is_segment(part: str) -> bool:
    is_text = is_storable(part) and len(os.fsencode(part)) <= SEGMENT_BYTES
    return is_text and part not in ("", "..") and "\\" not in part


def move_all(stage: Path, root: Path, found: Unpacked) -> None:
    """Each run into its place, unless there is one of its id, or anything at that place."""
    staged = [path for path in (*stage.glob(f"*/*/{RUNS}/*"), *stage.glob(f"{RUNS}/*")) if path.is_dir()]
    ids = [path.name for path in staged]
    taken = set(Run.objects.filter(pk__in=ids).values_list("pk", flat=True))
    taken |= set(RunAlias.objects.filter(alias__in=ids).values_list("alias", flat=True))
    for path in staged:
        parts = path.relative_to(stage).parts
        target = root.joinpath(*parts)
        if path.name in taken or os.path.lexists(target):
            found.known.append(path.name)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        found.files += sum(1 for file in path.rglob("*") if file.is_file())
        path.rename(target)
        found.folders.append(Folder(Experiment(root, parts[:-1]), path.name))


def refuse_without_space(folder: Path, size_bytes: int) -> None:
    if shutil.disk_usage(folder).free < size_bytes + SPARE_BYTES:
        raise OutOfSpace(f"the disk of {folder.parent} has no room for what the archive unpacks to")


def remove_stale(root: Path) -> None:
    """What an import that was killed has left."""
    for path in root.glob(f"{STAGE}*") if root.is_dir() else ():
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime > STALE_S and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
