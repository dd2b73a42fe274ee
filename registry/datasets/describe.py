"""What kind of dataset a file is, by its name and its content, and the facts about it."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from registry.datasets import archives, arrays, images, tables
from registry.datasets.archives import shown
from registry.datasets.arrays import ArrayPair
from registry.datasets.facts import Facts, Unreadable
from registry.datasets.images import ImageSet
from registry.datasets.streams import GuardedStream, Opener
from registry.datasets.tables import Table

Dataset: TypeAlias = ImageSet | Table | ArrayPair

SUFFIXES = (".csv", ".npy", ".npz", *archives.SUFFIXES)
MAX_INNER_NPZ_BYTES = 512 << 20
"""An npz file inside of an archive is unpacked to memory: its parts are not read in order."""
_MAGIC = {
    ".npy": (b"\x93NUMPY", "a NumPy array"),
    ".npz": (b"PK", "a zip file of NumPy arrays"),
    ".zip": (b"PK", "a zip archive"),
    ".tgz": (b"\x1f\x8b", "a gzip archive"),
    ".tar.gz": (b"\x1f\x8b", "a gzip archive"),
}


def describe(path: Path, file_name: str) -> Facts:
    """The facts of the file at `path`; its kind is told by the suffix of `file_name` and must match the content.

    Reads the file once or twice from start to end with bounded memory, writes nothing. Raises Unreadable.
    """
    return survey(path, file_name).facts


def survey(path: Path, file_name: str) -> Dataset:
    """The facts together with what is needed to read the samples. Raises Unreadable."""
    suffix = _suffix(file_name)
    _check_magic(path, suffix)
    if suffix == ".csv":
        return tables.survey(_bare(path))
    if suffix == ".npy":
        return arrays.survey_npy(_bare(path), path.stat().st_size)
    if suffix == ".npz":
        return arrays.survey_npz(lambda: path.open("rb"))
    return _survey_archive(path, file_name)


def _survey_archive(path: Path, file_name: str) -> Dataset:
    """The images of an archive, or the one table or array file of an archive without images."""
    pictures = images.ImageSurvey()
    kinds: dict[str, list[archives.Member]] = {".csv": [], ".npy": [], ".npz": []}
    for member in archives.members(path, file_name):
        if member.suffix in images.SUFFIXES:
            pictures.add(member)
        else:
            kinds.get(member.suffix, []).append(member)
    if pictures.paths:
        return pictures.result(path, file_name)
    for found in (kinds[".csv"], kinds[".npy"] + kinds[".npz"]):
        if len(found) > 1:
            names = f"{shown(found[0].name)} and {shown(found[1].name)}"
            raise Unreadable(f"the archive holds {names}: one file of samples is needed")
        if found:
            return _survey_member(path, file_name, found[0])
    raise Unreadable("the archive holds no image, CSV or NumPy file")


def _survey_member(path: Path, file_name: str, member: archives.Member) -> Dataset:
    opener = partial(archives.opened_member, path, file_name, member.name)
    if member.suffix == ".csv":
        return tables.survey(opener)
    if member.suffix == ".npy":
        return arrays.survey_npy(opener, member.size_bytes)
    if member.size_bytes > MAX_INNER_NPZ_BYTES:
        limit = f"{MAX_INNER_NPZ_BYTES >> 20} MiB"
        raise Unreadable(f"{shown(member.name)} is larger than {limit}: upload it without the archive around it")
    with opener() as stream:
        content = io.BytesIO(stream.readall())
    return arrays.survey_npz(lambda: nullcontext(content))


def _suffix(file_name: str) -> str:
    name = PurePosixPath(file_name).name.lower()
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.endswith(suffix):
            return suffix
    raise Unreadable(f"the name {shown(file_name)} does not end in one of {', '.join(SUFFIXES)}")


def _check_magic(path: Path, suffix: str) -> None:
    if not path.stat().st_size:
        raise Unreadable("the file is empty")
    magic, kind = _MAGIC.get(suffix, (b"", ""))
    with path.open("rb") as file:
        if file.read(len(magic)) != magic:
            raise Unreadable(f"the file is not {kind}, as its name says")


def _bare(path: Path) -> Opener:
    @contextmanager
    def opened() -> Iterator[GuardedStream]:
        with GuardedStream(path.open("rb"), "the file") as stream:
            yield stream

    return opened
