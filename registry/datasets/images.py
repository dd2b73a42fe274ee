"""Samples in archives of images: the folder is the class, all are brought to one size and number of channels."""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from registry.datasets.archives import Member, members, shown
from registry.datasets.facts import Facts, Unreadable
from registry.datasets.labels import MAX_CLASSES, Labels
from registry.datasets.streams import MAX_READ_BYTES

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm")
)
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
MAX_PIXELS = 64_000_000
MAX_FILE_BYTES = MAX_READ_BYTES
HEADERS_READ = 20_000
"""The size and the channels of a dataset are those of so many first images; reading a million headers takes minutes."""
_SPLITS = frozenset(("train", "training", "val", "valid", "validation", "test", "testing"))
_GREY_MODES = frozenset(("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N"))
# What Pillow's plugins raise for bytes they did not expect.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, ArithmeticError, LookupError, TypeError, AttributeError)
_DAMAGE_BELOW = (struct.error, zlib.error, RuntimeError)


@dataclass(frozen=True)
class Header:
    """Height and width in pixels, and 1 channel for grey, 3 for colour."""

    height: int
    width: int
    channels: int


@dataclass(frozen=True)
class ImageSet:
    """A surveyed archive. `rows` and `class_numbers` say for each image, in the archive's order, where it goes."""

    path: Path
    file_name: str
    facts: Facts
    labels: Labels | None = None
    rows: tuple[int, ...] = ()
    class_numbers: tuple[int, ...] = ()

    dtype = "uint8"

    def fill(self, inputs: np.ndarray, labels: np.ndarray, *, as_numbers: bool) -> None:
        """Write all samples, sorted by member name: `inputs` (n, height, width, channels), `labels` (n,) int64."""
        count = 0
        with closing(_images(self.path, self.file_name)) as found:
            for member, row, number in zip(found, self.rows, self.class_numbers, strict=False):
                inputs[row] = _pixels(member, self.facts.input_shape)
                labels[row] = number
                count += 1
        if count != len(self.rows):
            raise Unreadable("the archive changed while it was read")


@dataclass
class ImageSurvey:
    """Fed with all images of an archive, it keeps their names and the headers of the first ones."""

    paths: list[tuple[str, ...]] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)

    def add(self, member: Member) -> None:
        """Raises Unreadable when it is one of the first and no image."""
        self.paths.append(member.parts)
        if len(self.headers) < HEADERS_READ:
            self.headers.append(_header(member))

    def result(self, path: Path, file_name: str) -> ImageSet:
        """The set of at least one image, in the archive at `path`."""
        classes, reason = _classes(self.paths)
        labels = Labels("classes", tuple(sorted(set(classes)))) if classes else None
        first = self.headers[0]
        facts = Facts(
            format="images",
            sample_count=len(self.paths),
            dimensions=f"{first.height}x{first.width}x{first.channels}",
            input_shape=_usual_shape(self.headers) if labels else (),
            target="classes" if labels else "",
            class_count=labels.class_count if labels else None,
            untrainable_reason=reason,
        )
        if labels is None or classes is None:
            return ImageSet(path, file_name, facts)
        numbers = {name: number for number, name in enumerate(labels.values)}
        return ImageSet(path, file_name, facts, labels, _ranks(self.paths), tuple(numbers[name] for name in classes))


def _images(path: Path, file_name: str) -> Generator[Member, None, None]:
    for member in members(path, file_name):
        if member.suffix in SUFFIXES:
            yield member


def _classes(paths: list[tuple[str, ...]]) -> tuple[list[str] | None, str]:
    """The class of each image: its folder on the first level that varies; or the reason why there is none.

    Folders called train, test and the like are no classes: the level below them is looked at.
    """
    for level in range(max(map(len, paths)) - 1):
        names = [path[level] if len(path) > level + 1 else "" for path in paths]
        different = set(names)
        if len(different) == 1 or {name.lower() for name in different} <= _SPLITS:
            continue
        if "" in different:
            outside = shown("/".join(paths[names.index("")]))
            return None, f"the image {outside} lies outside of the folders that are the classes"
        if len(different) > MAX_CLASSES:
            return None, f"there are more than {MAX_CLASSES} folders, too many to be classes"
        return names, ""
    return None, "all images lie in one folder: without a folder for each class there are no labels"


def _ranks(paths: list[tuple[str, ...]]) -> tuple[int, ...]:
    """The place of each image when they are sorted by name."""
    rows = [0] * len(paths)
    for row, position in enumerate(sorted(range(len(paths)), key=paths.__getitem__)):
        rows[position] = row
    return tuple(rows)


def _usual_shape(headers: list[Header]) -> tuple[int, int, int]:
    """The most common size, of equally common ones the largest; one channel only when all images are grey."""
    sizes = Counter((header.height, header.width) for header in headers)
    height, width = max(sizes, key=lambda size: (sizes[size], math.prod(size), size))
    return height, width, max(header.channels for header in headers)


def _header(member: Member) -> Header:
    with _image(member) as image:
        return Header(image.height, image.width, 1 if image.mode in _GREY_MODES else 3)


def _pixels(member: Member, shape: tuple[int, ...]) -> np.ndarray:
    """The decoded first frame, (height, width, channels) uint8: alpha dropped, palettes looked up, 16 bits cut to 8."""
    import numpy as np
    from PIL.Image import Resampling

    height, width, channels = shape
    with _image(member) as image:
        plain = _eight_bit(image) if image.mode.startswith("I") else image
        plain = plain.convert("L" if channels == 1 else "RGB")
        if plain.size != (width, height):
            plain = plain.resize((width, height), Resampling.BILINEAR)
        return np.asarray(plain, dtype=np.uint8).reshape(height, width, channels)


def _eight_bit(image: Image) -> Image:
    """The upper bytes of 16 bit grey values: Pillow's own conversion would cut all above 255 off."""
    import numpy as np
    from PIL.Image import fromarray

    values = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
    return fromarray((values >> 8).astype(np.uint8))


@contextmanager
def _image(member: Member) -> Iterator[Image]:
    """The image of a member, decoded when its pixels are asked for; whatever is wrong with it is Unreadable."""
    from PIL import Image

    title = f"the image {shown(member.name)}"
    if member.size_bytes > MAX_FILE_BYTES:
        raise Unreadable(f"{title} is larger than {MAX_FILE_BYTES >> 20} MiB")
    with member.open() as stream:
        data = stream.read(member.size_bytes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata, and sizes below our own limit
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Unreadable(f"{title} has more than {MAX_PIXELS} pixels: {image.width}x{image.height}")
                if image.mode == "F":
                    raise Unreadable(f"{title} holds fractions, not colours: put such data in an npz file")
                yield image
    except Unreadable:
        raise
    except Image.DecompressionBombError as error:
        raise Unreadable(f"{title} has more than {MAX_PIXELS} pixels") from error
    except (*_DAMAGE, *_DAMAGE_BELOW) as error:
        raise Unreadable(f"{title} is damaged or cut off, or no image of a known kind") from error
