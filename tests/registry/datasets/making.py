"""Real files of samples for the readers: images, archives, tables, arrays."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def image(
    *, size: tuple[int, int] = (8, 8), mode: str = "RGB", kind: str = "PNG", colour: tuple[int, int, int] = (9, 99, 199)
) -> bytes:
    """One image of a single colour; `size` is width and height."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def folders(*names: str, count: int = 3, **fields: Any) -> dict[str, bytes]:
    """`count` images in each folder."""
    return {f"{name}/{number}.png": image(**fields) for name in names for number in range(count)}


def tar_info(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, **fields: Any) -> tarfile.TarInfo:
    """A tar header of any type."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def tar(path: Path, members: Mapping[str, bytes], *extra: tarfile.TarInfo) -> Path:
    """A tar archive, packed when the name says so; `extra` headers have no content."""
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
        for name, data in members.items():
            archive.addfile(tar_info(name, size=len(data)), io.BytesIO(data))
        for info in extra:
            archive.addfile(info)
    return path


def tar_block(name: str, *, kind: bytes = tarfile.REGTYPE, size_field: bytes = b"", data: bytes = b"") -> bytes:
    """One raw member, whose header may claim any size."""
    info = tar_info(name, kind, len(data))
    header = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    if size_field:
        header[124:136] = size_field.ljust(12, b"\0")
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data + b"\0" * (-len(data) % 512)


def zipped(path: Path, members: Mapping[str, bytes] | Mapping[zipfile.ZipInfo, bytes]) -> Path:
    """A zip archive; a ZipInfo in place of a name sets what a name cannot."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def packed(path: Path, members: Mapping[str, bytes]) -> Path:
    """The archive of the kind that `path` says."""
    return zipped(path, members) if path.suffix == ".zip" else tar(path, members)


def text(path: Path, content: str, encoding: str = "utf-8") -> Path:
    """A text file with exactly these characters."""
    path.write_bytes(content.encode(encoding))
    return path


def npz(path: Path, **arrays: Any) -> Path:
    """Arrays saved as numpy saves them."""
    np.savez(path, **{name: np.asarray(values) for name, values in arrays.items()})
    return path


def npy_bytes(values: Any) -> bytes:
    """The content of a .npy file; objects are pickled."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    return buffer.getvalue()


def gzipped(path: Path, *, zeros: int) -> Path:
    """A gzip file of many zero bytes, written without holding them."""
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(zeros >> 20):
            file.write(bytes(1 << 20))
    return path
